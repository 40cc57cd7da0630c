//! Watches a network: every confirmed block is read once, in order, and what arrived is booked.
//!
//! The cursor is in the books. It moves on after what a range brought is booked, so a crash reads the
//! range again; the keys of payments make that harmless.

use std::sync::Arc;

use super::{Service, Unavailable, locked};
use crate::{
    base::{NetworkId, Timestamp},
    chain::{BlockMark, BlockRange, Followed, Network, Position, Recipients, SPAN_BLOCKS_MAX},
    store::{MoveCursor, MoveWatch, StoreError, WatchCursor, WatchedBlock},
};

/// A claim may be of so many blocks before the one where watching began.
const FIRST_START_BLOCKS: u64 = 64;

/// What an operator says of watching a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSettings {
    pub purchase_contract: Option<alloy::primitives::Address>,
    /// Where to begin at the first start; at the newest confirmed block if absent.
    pub from_block: Option<u64>,
    /// The deepest reorganization that is followed.
    pub reorg_blocks_max: u64,
}

/// What one round has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchRound {
    /// Everything confirmed is read.
    UpToDate,
    /// There is more to read.
    More,
}

impl Service {
    /// The networks that are watched.
    #[must_use]
    pub fn network_ids(&self) -> Vec<NetworkId> {
        self.networks().iter().map(Network::id).collect()
    }

    /// One bounded round over a network's new confirmed blocks.
    ///
    /// # Errors
    /// When the store or every node cannot answer: the next round begins where this one did.
    pub async fn watch(&self, id: NetworkId) -> Result<WatchRound, Unavailable> {
        let Some(network) = self.network(id) else {
            return Ok(WatchRound::UpToDate);
        };
        let Some(cursor) = self.store().watch_cursor(id).await? else {
            self.begin_watch_late(network).await?;
            return Ok(WatchRound::More);
        };
        let position = self.position(id, &cursor);
        let is_known = |transaction, block| {
            let mut handled = locked(&self.0.handled);
            handled.get(&(id, transaction, block)).is_some()
        };
        let recipients = self.recipients(id);
        match network.follow(&position, &recipients, &is_known).await {
            Ok(Followed::UpToDate { confirmed, time }) => {
                self.report(id, confirmed, time, cursor.next);
                Ok(WatchRound::UpToDate)
            }
            Ok(Followed::Undone { common, confirmed }) => {
                self.go_back(id, &cursor, common, confirmed).await?;
                Ok(WatchRound::More)
            }
            Ok(Followed::Read(range)) => self.take_range(network, range, position.span).await,
            Err(error) => {
                // A node that takes too long for a range may not for half of it.
                self.set_span(id, position.span / 2);
                Err(error.into())
            }
        }
    }

    fn position(&self, id: NetworkId, cursor: &WatchCursor) -> Position {
        let span = locked(&self.0.spans).get(&id).copied();
        let span = span.unwrap_or(SPAN_BLOCKS_MAX);
        let marks = cursor.blocks.iter().map(|block| BlockMark {
            number: block.number,
            hash: block.hash,
        });
        Position {
            first: cursor.first,
            next: cursor.next,
            span,
            marks: marks.collect(),
        }
    }

    fn set_span(&self, id: NetworkId, span: u64) {
        let span = span.clamp(1, SPAN_BLOCKS_MAX);
        locked(&self.0.spans).insert(id, span);
    }

    async fn take_range(
        &self,
        network: &Network,
        range: BlockRange,
        asked: u64,
    ) -> Result<WatchRound, Unavailable> {
        let id = network.id();
        for receiving in &range.transactions {
            self.receive(network, receiving).await?;
            let at = receiving.at;
            locked(&self.0.handled).put((id, at.transaction, at.block_hash), ());
        }
        if let Some(error) = range.unread {
            // Less, so that it fails by itself if it cannot be read, and another node is asked.
            self.set_span(id, asked / 2);
            // What was read is booked and is not read again; the rest is, from where this round began.
            return Err(error.into());
        }
        // Booked. A crash here reads the range again, and finds every transfer counted.
        let to = MoveCursor::Past {
            block: WatchedBlock {
                number: range.last.number,
                hash: range.last.hash,
            },
            keep: self.reorg_blocks_max(id),
        };
        self.store()
            .move_cursor(MoveWatch { network: id, to })
            .await?;
        let grown = if range.span < asked {
            range.span
        } else {
            asked.saturating_mul(2)
        };
        self.set_span(id, grown);
        let next = range.last.number.saturating_add(1);
        self.report(id, range.confirmed, range.time, next);
        Ok(if next <= range.confirmed {
            WatchRound::More
        } else {
            WatchRound::UpToDate
        })
    }

    /// Blocks that were read are not on the chain any more: back to the newest that still is.
    async fn go_back(
        &self,
        id: NetworkId,
        cursor: &WatchCursor,
        common: Option<BlockMark>,
        confirmed: u64,
    ) -> Result<(), Unavailable> {
        metrics::counter!("watcher_reorganizations_total", "network" => id.to_string())
            .increment(1);
        let bound = self.reorg_blocks_max(id);
        let newest = cursor.next.saturating_sub(1).min(confirmed);
        let deepest = newest.saturating_sub(bound).saturating_add(1);
        let next = match common {
            Some(common) => common.number.saturating_add(1),
            None => deepest.max(cursor.first),
        };
        if common.is_some() || deepest <= cursor.first {
            tracing::warn!(network = %id, next, watched = cursor.next, "blocks that were watched are undone");
        } else {
            metrics::counter!("watcher_reorganizations_too_deep_total", "network" => id.to_string())
                .increment(1);
            tracing::error!(network = %id, next, watched = cursor.next, "a reorganization is deeper than reorg_blocks_max: look at what arrived before it");
        }
        let to = MoveCursor::Back { next };
        Ok(self
            .store()
            .move_cursor(MoveWatch { network: id, to })
            .await?)
    }

    /// How far below the newest confirmed block reorganizations are followed.
    pub(super) fn reorg_blocks_max(&self, id: NetworkId) -> u64 {
        let watch = self.settings().watch.get(&id);
        watch.map_or(0, |watch| watch.reorg_blocks_max)
    }

    fn report(&self, id: NetworkId, confirmed: u64, time: Timestamp, next: u64) {
        #[expect(clippy::cast_precision_loss, reason = "for a graph")]
        let set = |name: &'static str, value: u64| {
            metrics::gauge!(name, "network" => id.to_string()).set(value as f64);
        };
        let behind = confirmed.saturating_add(1).saturating_sub(next);
        let age = self.now().seconds().saturating_sub(time.seconds());
        set("watcher_block", next.saturating_sub(1));
        set("watcher_blocks_behind", behind);
        // Grows when the node itself has come to a stop.
        set(
            "watcher_confirmed_age_seconds",
            u64::try_from(age).unwrap_or_default(),
        );
    }

    /// Where watching begins when a network is used for the first time: behind what is confirmed now.
    pub(super) async fn begin_watch(&self, network: &Network) -> Result<(), Unavailable> {
        if self.store().watch_cursor(network.id()).await?.is_some() {
            return Ok(());
        }
        let first = match self.watch_from_block(network.id()) {
            Some(first) => first,
            None => network.confirmed_block().await?.0.number.saturating_add(1),
        };
        self.begin_at(network.id(), first).await
    }

    /// The same once a node answers, if none did at the first start: what arrived meanwhile counts.
    async fn begin_watch_late(&self, network: &Network) -> Result<(), Unavailable> {
        let id = network.id();
        let first = if let Some(first) = self.watch_from_block(id) {
            first
        } else {
            let used = self.store().first_use(id).await?.unwrap_or(self.now());
            // Blocks have whole seconds.
            let used = Timestamp::from_seconds(used.seconds());
            network.first_block_since(used).await?
        };
        self.begin_at(id, first).await
    }

    /// The first block whose transfers are taken, also on a claim: what a `payTo` received before was
    /// paid for something else. A wallet may pay a moment before the very first start is through.
    pub(super) async fn first_taken_block(&self, network: &Network) -> Result<u64, Unavailable> {
        let id = network.id();
        let mut cursor = self.store().watch_cursor(id).await?;
        if cursor.is_none() {
            self.begin_watch_late(network).await?;
            cursor = self.store().watch_cursor(id).await?;
        }
        let first = cursor
            .ok_or(StoreError::Corrupt("watch_cursors"))
            .map(|cursor| cursor.first)?;
        Ok(match self.watch_from_block(id) {
            Some(named) => named.min(first),
            None => first.saturating_sub(FIRST_START_BLOCKS),
        })
    }

    fn watch_from_block(&self, id: NetworkId) -> Option<u64> {
        self.settings().watch.get(&id)?.from_block
    }

    async fn begin_at(&self, network: NetworkId, first: u64) -> Result<(), Unavailable> {
        tracing::info!(%network, first, "watching begins");
        let to = MoveCursor::Begin { first };
        Ok(self.store().move_cursor(MoveWatch { network, to }).await?)
    }

    /// Whom a network's transfers are for.
    pub(super) fn recipients(&self, id: NetworkId) -> Arc<Recipients> {
        locked(&self.0.recipients)
            .get(&id)
            .cloned()
            .unwrap_or_default()
    }
}
