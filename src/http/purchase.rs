//! `POST /api/external/credits/purchase`, and the status of a purchase.

use axum::{
    Json,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use super::{
    House,
    amounts::CreditsNumber,
    body,
    claim::{self, TransactionHash},
    documents::{PurchaseDocument, PurchaseRequest, PurchaseStatusDocument, SettlingDocument},
    fields::{FieldProblem, Fields},
    openapi::{BodyRefusals, BudgetRefusals, PaymentHeader, VersionQuery},
    payment_header,
    payments::{accepted, payment_required, replay, settled, transaction},
    peer::Client,
    problem::Problem,
    refusals::conflict,
    version::AskedVersion,
};
use crate::{
    auth::json::Node,
    base::PurchaseId,
    service::{BuyAnswer, BuyError, BuyRequest, ClaimRequest, Purchase, QuoteError},
    x402::{SignedPayment, X402Version},
};

const LABEL_CHARS_MAX: usize = 128;

/// Buy credits
///
/// Without a payment header: 402 with x402 offers, one for each network and asset. With one: the
/// purchase. The same authorization, sent again, returns the first purchase. With `transaction_hash` in
/// place of a payment: credits for a transfer that the wallet made itself.
#[utoipa::path(
    post,
    path = "/api/external/credits/purchase",
    tag = "credits",
    request_body = PurchaseRequest,
    params(PaymentHeader, VersionQuery),
    responses(
        (status = 200, body = PurchaseDocument),
        (status = 202, body = SettlingDocument),
        (status = 400, description = "INVALID_REQUEST, CREDITS_NOT_A_MULTIPLE, INVALID_PAYMENT"),
        (status = 402, description = "An x402 PaymentRequired document"),
        (status = 409, description = "The payment was used already, and not for this"),
        BodyRefusals,
        BudgetRefusals,
    )
)]
pub(super) async fn buy(
    State(house): State<House>,
    Client(client): Client,
    asked: AskedVersion,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&headers, body, house.limits).await?;
    let payment = payment_header::payment(&headers);
    let pays = !matches!(payment, Ok(None));
    let version = asked.unless_paid(payment.as_ref().ok().and_then(Option::as_ref));
    let work = move |house: House| async move {
        let order = read(&body::parse(&bytes)?, payment?)?;
        drop(bytes);
        let request = match order {
            Order::Buy(request) => *request,
            Order::Claim(claim) => return claim::claim(&house, client, &claim, version).await,
        };
        if request.payment.is_some() {
            house.check_failures(client)?;
        }
        match house.service.buy(request).await {
            Ok(BuyAnswer::Credited(purchase)) => Ok(credited(&purchase, version)),
            Ok(BuyAnswer::Settling(payment)) => Ok(accepted(
                &house,
                payment.id,
                "the payment is being settled; nothing more needs to be sent",
            )),
            Err(error) => {
                let counts = match &error {
                    BuyError::Refused { .. } | BuyError::Settled | BuyError::TooOld => true,
                    BuyError::Unavailable(reason) => reason.is_of_a_wallet(),
                    _ => false,
                };
                if counts {
                    house.count_failure(client);
                }
                phrase(error, version)
            }
        }
    };
    house.detached(pays, work).await
}

/// What a body asks for.
enum Order {
    Buy(Box<BuyRequest>),
    Claim(ClaimRequest),
}

fn read(node: &Node<'_>, payment: Option<SignedPayment>) -> Result<Order, Problem> {
    let mut fields = Fields::of(node)?;
    let wallet = fields.required("wallet_address");
    let claims = fields.member("transaction_hash").is_some();
    let transaction = fields.optional::<TransactionHash>("transaction_hash");
    if claims && payment.is_some() {
        let what = "or an x402 payment header: one of them pays";
        fields.refuse("transaction_hash", what);
    }
    let credits = if claims {
        fields.optional_credits("credits")
    } else {
        fields.whole_credits("credits")
    };
    if fields
        .optional_text("payment_method")
        .is_some_and(|method| method != "x402")
    {
        fields.refuse("payment_method", "must be \"x402\"");
    }
    let label = fields.optional_text("request_id").map(str::to_owned);
    if label
        .as_ref()
        .is_some_and(|label| label.chars().count() > LABEL_CHARS_MAX)
    {
        fields.refuse(
            "request_id",
            format!("must be at most {LABEL_CHARS_MAX} characters"),
        );
    }
    let payer = fields.optional("payer_wallet_address");
    let sponsor_signature = fields.optional("sponsor_signature");
    let network = fields.optional("network");
    if claims {
        let (wallet, TransactionHash(transaction)) = fields.all(wallet.zip(transaction))?;
        return Ok(Order::Claim(ClaimRequest {
            wallet,
            transaction,
            credits,
            label,
            payer,
            sponsor_signature,
            network,
        }));
    }
    let (wallet, credits) = fields.all(wallet.zip(credits))?;
    Ok(Order::Buy(Box::new(BuyRequest {
        wallet,
        credits,
        label,
        payer,
        sponsor_signature,
        network,
        payment,
    })))
}

pub(super) fn credited(purchase: &Purchase, version: X402Version) -> Response {
    let Purchase { payment, balance } = purchase;
    let document = PurchaseDocument {
        success: true,
        purchase_id: payment.id.to_string(),
        status: payment.state.as_str(),
        wallet_address: balance.map(|_| payment.wallet.to_string()),
        credits_purchased: CreditsNumber(payment.credits),
        balance_credits: balance.map(CreditsNumber),
        balance_usd: balance.map(crate::base::Credits::usd),
        transaction: transaction(payment),
        network: payment.asset.network.to_string(),
    };
    let receipt = payment_header::response(&settled(payment), version);
    (receipt, Json(document)).into_response()
}

pub(super) fn phrase(error: BuyError, version: X402Version) -> Result<Response, Problem> {
    match error {
        BuyError::PaymentRequired(quote) => Ok(payment_required(&quote, None, version)),
        BuyError::Refused {
            response, quote, ..
        } => Ok(payment_required(&quote, Some(&response), version)),
        BuyError::Quote(error) => Err(quote_problem(&error)),
        BuyError::Replay { id, state } => Err(replay(id, state)),
        BuyError::Settled => Err(conflict(
            "EXTERNAL_SIGNATURE_REQUEST_REPLAY",
            "the authorization is settled on the chain already: it is credited to its payer, or to \
             the wallet and for the credits that its sponsor signed; send it once more that way",
        )),
        BuyError::TooOld => Err(conflict(
            "PAYMENT_TOO_OLD",
            "the transfer is in a block before the first whose transfers are credited here; do not pay \
             again, but ask the operator",
        )),
        BuyError::Claimed { id, state } => Err(conflict(
            "EXTERNAL_SIGNATURE_REQUEST_REPLAY",
            "the transfer is counted already, and not for this wallet",
        )
        .with("charge_id", &id.to_string())
        .with("charge_status", state.as_str())),
        BuyError::InSuspense => Err(conflict(
            "PAYMENT_IN_SUSPENSE",
            "the transfer has arrived and is kept until the operator says whose it is; do not pay \
             again, but ask the operator",
        )),
        BuyError::Pending => {
            let detail = "the transaction is not mined yet; do not pay again, but send the same \
                          request again";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", detail).retry_after(2))
        }
        BuyError::NothingIsSold => Err(Problem::fields(&[FieldProblem::new(
            "/transaction_hash",
            "nothing is bought on a chain here",
        )])),
        BuyError::Unavailable(reason) => Err(Problem::unavailable(&reason)),
    }
}

fn quote_problem(error: &QuoteError) -> Problem {
    match error {
        QuoteError::NotAMultiple { suggested, .. } => Problem::new(
            StatusCode::BAD_REQUEST,
            "CREDITS_NOT_A_MULTIPLE",
            format!("credits {error}"),
        )
        .with("suggested_credits", &CreditsNumber(*suggested))
        .with(
            "errors",
            &[FieldProblem::new("/credits", error.to_string())],
        ),
        QuoteError::OutOfRange { .. } => {
            Problem::fields(&[FieldProblem::new("/credits", error.to_string())])
        }
        QuoteError::UnknownNetwork(_) => {
            Problem::fields(&[FieldProblem::new("/network", error.to_string())])
        }
    }
}

/// Read the status of a purchase
///
/// The id is the buyer's secret.
#[utoipa::path(
    get,
    path = "/api/external/credits/purchases/{id}",
    tag = "credits",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = PurchaseStatusDocument),
        (status = 404, description = "PURCHASE_NOT_FOUND"),
        (status = 503, description = "UNAVAILABLE"),
    )
)]
pub(super) async fn status(
    State(house): State<House>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<PurchaseStatusDocument>, Problem> {
    let not_found = || {
        let detail = "there is no purchase with this id";
        Problem::new(StatusCode::NOT_FOUND, "PURCHASE_NOT_FOUND", detail)
    };
    let Path(id) = path.map_err(|_| not_found())?;
    let id: PurchaseId = id.parse().map_err(|_| not_found())?;
    let _place = house.place()?;
    let payment = house
        .service
        .purchase(id)
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let payment = payment.ok_or_else(not_found)?;
    Ok(Json(PurchaseStatusDocument {
        success: true,
        purchase_id: payment.id.to_string(),
        status: payment.state.as_str(),
        credits: CreditsNumber(payment.credits),
        transaction: payment.transaction.map(|hash| format!("{hash:#x}")),
        network: payment.asset.network.to_string(),
        reason: payment.reason,
    }))
}
