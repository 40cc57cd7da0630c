//! What came in is what is left and what was spent.

use serde_json::json;

use super::Walk;
use crate::{
    app::demo::{
        failure::{Failure, broken, claim},
        narrator::{Heading, Narrator, Proof},
        paint,
    },
    base::Credits,
};

pub(super) const HEADING: Heading = Heading {
    name: "books",
    title: "The books agree with the chain",
};

pub(super) async fn run(walk: &mut Walk<'_>, narrator: &mut Narrator) -> Result<Proof, Failure> {
    walk.check_balance(narrator).await?;
    // The receiver was made for this run, so all that it holds was paid here.
    let received = walk.usdc_of(walk.stage.pay_to).await?;
    let paid_in = paint::worth(received).ok_or_else(|| broken("the receiver holds part units"))?;
    let direct = walk.paid_directly.unwrap_or(Credits::ZERO);
    let accounted = walk
        .balance
        .checked_add(walk.charged)
        .and_then(|sum| sum.checked_add(direct));
    claim("what the books account for", accounted, Some(paid_in))?;
    let (left, charged) = (walk.balance, walk.charged);
    Ok(Proof {
        shown: vec![format!(
            "{} on chain = {left} left + {charged} charged + {direct} paid directly = {}.",
            paint::usdc(received),
            paint::credits(paid_in),
        )],
        summary: ["200".into(), "0".into(), left.to_string()],
        detail: json!({
            "paid_in_units": paid_in.units(),
            "outstanding_units": left.units(),
            "charged_units": charged.units(),
            "paid_directly_units": direct.units(),
        }),
    })
}
