// Compiles the contracts, and those that tests in Rust stand on, and writes what Rust needs of them: `npm run
// build`, or `npm run build -- FOLDER` to write elsewhere. Nothing that forge cached before is used.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { forge } from "./forge.mjs";

const CONTRACTS = ["CheckpointAnchor", "CreditsPurchase"];
const FIXTURES = ["MisbehavingToken", "Permit2Proxy", "WalletFactory"];

const target = resolve(process.argv[2] ?? "artifacts");
const scratch = mkdtempSync(join(tmpdir(), "counterfoil-contracts-"));
try {
  const out = join(scratch, "out");
  process.exitCode = forge(["build", "src", "test/fixtures", "--out", out, "--cache-path", join(scratch, "cache")]);
  if (process.exitCode === 0) [...CONTRACTS, ...FIXTURES].forEach((name) => write(name, out));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** The ABI, the creation code and the runtime code, in the form that alloy's `sol!` reads. */
function write(name, out) {
  const built = JSON.parse(readFileSync(join(out, `${name}.sol`, `${name}.json`), "utf8"));
  const { compiler, settings } = JSON.parse(built.rawMetadata);
  const artifact = {
    contractName: name,
    compiler: compiler.version,
    evmVersion: settings.evmVersion,
    abi: built.abi,
    bytecode: built.bytecode.object,
    deployedBytecode: built.deployedBytecode.object,
  };
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, `${name}.json`), `${JSON.stringify(artifact, null, 2)}\n`);
}
