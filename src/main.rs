fn main() -> std::process::ExitCode {
    counterfoil::app::telemetry::init().unwrap();
    let path = std::env::args().nth(3).unwrap();
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(counterfoil::app::serve::run(std::path::Path::new(&path)))
}
