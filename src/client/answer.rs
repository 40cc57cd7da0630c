//! What the service answers, read into values. Each keeps the whole document beside them.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::ClientError;
use crate::base::{AddressError, AgentAddress, Credits, CreditsError};

/// What a wallet has.
#[derive(Clone, Debug)]
pub struct Balance {
    pub wallet: AgentAddress,
    /// Held credits included.
    pub total: Credits,
    /// Reserved by calls that are running.
    pub held: Credits,
    pub available: Credits,
    /// The service's own answer, whole.
    pub document: Box<RawValue>,
}

/// A call that was paid for with credits.
#[derive(Clone, Debug)]
pub struct CallReply {
    /// What the tool answered.
    pub data: Box<RawValue>,
    pub charge_id: String,
    pub charged: Credits,
    /// After the charge.
    pub balance: Credits,
    /// The call had run before; this is its stored answer, and nothing was charged again.
    pub replayed: bool,
    /// The service's own answer, whole.
    pub document: Box<RawValue>,
}

/// A call that was paid for by itself, over x402.
#[derive(Clone, Debug)]
pub struct DirectReply {
    /// What the tool answered.
    pub data: Box<RawValue>,
    /// The hash of the transaction that paid.
    pub transaction: String,
    /// CAIP-2, as `eip155:84532`.
    pub network: String,
    /// What was paid: a dollar is 100 credits.
    pub price: Credits,
    /// The service's own answer, whole.
    pub document: Box<RawValue>,
}

/// Credits that were bought.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// Whoever knows it may read the purchase's status.
    pub id: String,
    pub credits: Credits,
    /// The wallet's balance after the purchase; not told to who asks later.
    pub balance: Option<Credits>,
    /// The hash of the transaction that paid.
    pub transaction: Option<String>,
    /// The service's own answer, whole.
    pub document: Box<RawValue>,
}

/// Everything that is for sale.
#[derive(Clone, Debug)]
pub struct Catalogue {
    pub tools: Vec<ToolInfo>,
    /// The service's own answer, whole.
    pub document: Box<RawValue>,
}

/// One tool.
#[derive(Clone, Debug)]
pub struct ToolInfo {
    pub slug: String,
    pub name: String,
    pub description: String,
    pub actions: Vec<ActionInfo>,
    /// The service's own words on this tool, whole.
    pub document: Box<RawValue>,
}

/// One action of a tool.
#[derive(Clone, Debug, Deserialize)]
pub struct ActionInfo {
    pub slug: String,
    #[serde(default)]
    pub description: String,
    #[serde(rename = "price_credits", deserialize_with = "credits")]
    pub price: Credits,
    /// Whether a call may also be paid for by itself.
    #[serde(default)]
    pub x402: bool,
    /// JSON Schema of the parameters.
    pub parameters: Option<Box<RawValue>>,
}

/// The status of a purchase.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PurchaseStatus {
    pub(super) status: String,
    pub(super) purchase_id: Option<String>,
    pub(super) reason: Option<String>,
}

#[derive(Deserialize)]
struct BalanceBody {
    wallet_address: String,
    #[serde(deserialize_with = "credits")]
    balance_credits: Credits,
    #[serde(deserialize_with = "credits")]
    held_credits: Credits,
    #[serde(deserialize_with = "credits")]
    available_credits: Credits,
}

#[derive(Deserialize)]
struct CallBody {
    response: ResponseBody,
    charge_id: String,
    #[serde(deserialize_with = "credits")]
    charged_credits: Credits,
    #[serde(deserialize_with = "credits")]
    balance_credits: Credits,
}

#[derive(Deserialize)]
struct ResponseBody {
    data: Box<RawValue>,
}

#[derive(Deserialize)]
struct DirectBody {
    response: ResponseBody,
    x402: X402Body,
}

#[derive(Deserialize)]
struct X402Body {
    transaction: String,
    network: String,
}

#[derive(Deserialize)]
struct PurchaseBody {
    purchase_id: Option<String>,
    #[serde(default, deserialize_with = "some_credits")]
    credits_purchased: Option<Credits>,
    #[serde(default, deserialize_with = "some_credits")]
    credits: Option<Credits>,
    #[serde(default, deserialize_with = "some_credits")]
    balance_credits: Option<Credits>,
    transaction: Option<String>,
}

#[derive(Deserialize)]
struct CatalogueBody {
    tools: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct ToolBody {
    slug: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    actions: Vec<ActionInfo>,
}

impl Balance {
    pub(super) fn read(body: &[u8]) -> Result<Self, ClientError> {
        let read: BalanceBody = read_json(body)?;
        let wallet = read.wallet_address.parse();
        Ok(Self {
            wallet: wallet.map_err(|problem: AddressError| {
                unreadable(body, &format!("wallet_address {problem}"))
            })?,
            total: read.balance_credits,
            held: read.held_credits,
            available: read.available_credits,
            document: read_json(body)?,
        })
    }
}

impl CallReply {
    pub(super) fn read(body: &[u8], replayed: bool) -> Result<Self, ClientError> {
        let read: CallBody = read_json(body)?;
        Ok(Self {
            data: read.response.data,
            charge_id: read.charge_id,
            charged: read.charged_credits,
            balance: read.balance_credits,
            replayed,
            document: read_json(body)?,
        })
    }
}

impl DirectReply {
    pub(super) fn read(body: &[u8], price: Credits) -> Result<Self, ClientError> {
        let read: DirectBody = read_json(body)?;
        Ok(Self {
            data: read.response.data,
            transaction: read.x402.transaction,
            network: read.x402.network,
            price,
            document: read_json(body)?,
        })
    }
}

impl Purchase {
    /// `ordered` stands in where the answer does not repeat it.
    pub(super) fn read(
        body: &[u8],
        id: Option<&str>,
        ordered: Credits,
    ) -> Result<Self, ClientError> {
        let read: PurchaseBody = read_json(body)?;
        let credits = read.credits_purchased.or(read.credits);
        Ok(Self {
            id: read
                .purchase_id
                .or(id.map(str::to_owned))
                .unwrap_or_default(),
            credits: credits.unwrap_or(ordered),
            balance: read.balance_credits,
            transaction: read.transaction,
            document: read_json(body)?,
        })
    }
}

impl Catalogue {
    pub(super) fn read(body: &[u8]) -> Result<Self, ClientError> {
        let read: CatalogueBody = read_json(body)?;
        let tools = read.tools.iter();
        let tools = tools.map(|tool| ToolInfo::read(tool.get().as_bytes()));
        Ok(Self {
            tools: tools.collect::<Result<_, _>>()?,
            document: read_json(body)?,
        })
    }
}

impl ToolInfo {
    pub(super) fn read(body: &[u8]) -> Result<Self, ClientError> {
        let read: ToolBody = read_json(body)?;
        Ok(Self {
            slug: read.slug,
            name: read.name,
            description: read.description,
            actions: read.actions,
            document: read_json(body)?,
        })
    }
}

pub(super) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| unreadable(body, &error.to_string()))
}

fn unreadable(body: &[u8], reason: &str) -> ClientError {
    ClientError::Unexpected {
        status: None,
        reason: format!("The service's answer cannot be read: {reason}"),
        excerpt: String::from_utf8_lossy(body).chars().take(200).collect(),
    }
}

/// From the number's own text, so that no amount passes through a float.
fn credits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Credits, D::Error> {
    let token = Box::<RawValue>::deserialize(deserializer)?;
    parse_credits(&token)
}

fn some_credits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Credits>, D::Error> {
    let token = Option::<Box<RawValue>>::deserialize(deserializer)?;
    token.as_deref().map(parse_credits).transpose()
}

fn parse_credits<E: serde::de::Error>(token: &RawValue) -> Result<Credits, E> {
    let amount = token.get().parse();
    amount.map_err(|problem: CreditsError| E::custom(format!("an amount of credits {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let body =
            br#"{"success":true,"wallet_address":"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "balance_credits":922337203685477.5807,"held_credits":0.0001,"available_credits":5,
            "balance_usd":"0.05","grants":[]}"#;
        let balance = Balance::read(body).unwrap();
        assert_eq!(balance.total.units(), i64::MAX);
        assert_eq!(balance.held.units(), 1);
        assert_eq!(balance.available.units(), 50_000);
        assert_eq!(balance.document.get().as_bytes(), body);
    }

    #[test]
    fn a_tools_answer_keeps_its_own_bytes() {
        let body = br#"{"success":true,"response":{"success":true,"status_code":200,
            "data":{ "high": 21.50 }},"charge_id":"chg_1","charge_status":"captured",
            "price_credits":5,"charged_credits":5,"balance_credits":95}"#;
        let reply = CallReply::read(body, true).unwrap();
        assert_eq!(reply.data.get(), r#"{ "high": 21.50 }"#);
        assert_eq!(reply.charged.to_string(), "5");
    }

    #[test]
    fn what_is_missing_or_no_amount_is_named() {
        for (body, named) in [
            ("{}", "response"),
            (
                r#"{"response":{"data":1},"charge_id":"c","charged_credits":"5"}"#,
                "amount of credits",
            ),
            ("<html>", "expected value"),
        ] {
            let error = CallReply::read(body.as_bytes(), false).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
