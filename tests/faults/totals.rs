//! The reckoning: buyer by buyer and in all, to the unit.

use std::{collections::BTreeMap, fmt, sync::Arc};

use alloy::primitives::U256;

use crate::{
    buyer::Buyer,
    kind::Kind,
    support::{Books, House, Reply},
    transfers::Arrivals,
    world::World,
};

/// How many payments ended how.
pub(crate) struct Totals {
    seed: u64,
    world: Arc<World>,
    endings: BTreeMap<(Kind, &'static str), usize>,
    relayed: usize,
    replaced: usize,
    paid: u64,
    booked: u64,
}

impl Totals {
    pub(crate) fn new(seed: u64, world: &Arc<World>) -> Self {
        Self {
            seed,
            world: world.clone(),
            endings: BTreeMap::new(),
            relayed: 0,
            replaced: 0,
            paid: 0,
            booked: 0,
        }
    }

    /// How one payment ended, in the service's last word.
    pub(crate) fn count(&mut self, buyer: &Buyer, reply: &Reply) {
        let ending = match (reply.status, reply.json["status"].as_str()) {
            (200, Some(_)) => "credited",
            (200, None) => "delivered",
            (402, _) => "refused",
            (409, _) => "answered before, or broken off",
            _ => panic!("{:?}: {} {}", buyer.kind, reply.status, reply.text()),
        };
        *self.endings.entry((buyer.kind, ending)).or_default() += 1;
    }

    /// That the books say what the chain says: for each payer, and in all.
    pub(crate) async fn balance(&mut self, house: &House, buyers: &[Buyer]) {
        let books = house.settled_books().await;
        let arrivals = Arrivals::read(&self.world).await;
        let mut credits = 0;
        for buyer in buyers {
            credits += reckon(&books, &arrivals, buyer);
        }
        self.paid = arrivals.all;
        self.booked = u64::try_from(books.cash()).unwrap();
        self.relayed = house.relayed().await.len();
        self.replaced = house.replaced().await.len();
        let received = self
            .world
            .chain
            .balance_of(self.world.pay_to)
            .await
            .unwrap();
        assert_eq!(
            U256::from(self.paid),
            received,
            "the test misreads the chain"
        );
        assert_eq!(self.booked, self.paid, "{books:#?}");
        let revenue = u64::try_from(books.revenue()).unwrap();
        assert_eq!(credits + revenue, self.paid, "{books:#?}");
    }

    fn sum(&self, chosen: impl Fn(Kind, &str) -> bool) -> usize {
        let chosen = self
            .endings
            .iter()
            .filter(|((kind, ending), _)| chosen(*kind, ending));
        chosen.map(|(_, count)| count).sum()
    }
}

/// That a payer has paid its price or nothing, and has credits or was served for what it paid. The
/// units of credits that it has.
fn reckon(books: &Books, arrivals: &Arrivals, buyer: &Buyer) -> u64 {
    let paid = arrivals.payments.get(&buyer.mark());
    let who = format!("{:?} {}", buyer.kind, buyer.payer.name());
    let account = format!("wallet:{}", buyer.wallet());
    let units = books.accounts.get(&account).copied().unwrap_or_default();
    let units = u64::try_from(units).unwrap();
    let Some(paid) = paid else {
        assert_eq!(units, 0, "{who}: credited for nothing");
        assert!(!buyer.kind.is_honest(), "{who}: never settled");
        assert_eq!(buyer.told.done, None, "{who}: told what is not so");
        return 0;
    };
    assert_eq!(paid.value, buyer.price, "{who}");
    // The contract passes on what it was paid.
    let payer = buyer.payer.address();
    assert!(paid.from == payer || buyer.kind == Kind::Shop, "{who}");
    let delivered = buyer.kind.is_direct() && units == 0;
    assert!(
        delivered || units == buyer.price,
        "{who}: {units} of {}",
        buyer.price
    );
    if let Some(done) = &buyer.told.done
        && !buyer.kind.is_direct()
    {
        assert_eq!(
            done["transaction"],
            format!("{:#x}", paid.transaction),
            "{who}"
        );
    }
    units
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = &self.world;
        writeln!(formatter, "\nCOUNTERFOIL_FAULTS_SEED={}", self.seed)?;
        for ((kind, ending), count) in &self.endings {
            writeln!(formatter, "{count:8}  {}: {ending}", kind.name())?;
        }
        let lines = [
            (self.sum(|kind, _| !kind.is_direct()), "purchases"),
            (self.sum(|kind, _| kind.is_direct()), "direct calls"),
            (
                self.sum(|_, ending| ending == "credited"),
                "payments credited",
            ),
            (
                self.sum(|_, ending| ending == "refused"),
                "payments refused",
            ),
            (self.relayed, "transactions of the relayer's"),
            (self.replaced, "signed again at other fees"),
        ];
        for (count, what) in lines.into_iter().chain(world.mishaps()) {
            writeln!(formatter, "{count:8}  {what}")?;
        }
        for (fault, count) in world.proxy.struck() {
            writeln!(formatter, "{count:8}  calls of the node: {fault}")?;
        }
        let Self { paid, booked, .. } = self;
        writeln!(formatter, "{paid:14}  base units paid on the chain")?;
        writeln!(formatter, "{booked:14}  base units in the books")?;
        write!(
            formatter,
            "{:14}  difference",
            i128::from(*booked) - i128::from(*paid)
        )
    }
}
