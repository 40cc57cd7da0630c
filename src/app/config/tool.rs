//! `[[tool]]`: what is for sale.

use std::collections::HashSet;

use super::{problems::Problems, raw};
use crate::{
    base::Slug,
    upstream::{Action, ActionError, ActionSpec, Catalogue, Target, Tool},
};

const TOOLS_MAX: usize = 1_000;
const ACTIONS_MAX: usize = 100;
const NAME_BYTES_MAX: usize = 128;
const DESCRIPTION_BYTES_MAX: usize = 2_000;

pub(super) fn catalogue(raw: Vec<raw::Tool>, problems: &mut Problems) -> Option<Catalogue> {
    if raw.len() > TOOLS_MAX {
        problems.add("tool", format_args!("has more than {TOOLS_MAX} elements"));
    }
    let mut slugs = HashSet::new();
    let mut tools = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let key = format!("tool[{index}]");
        if !slugs.insert(raw.slug.clone()) {
            problems.add_value(
                format!("{key}.slug"),
                &raw.slug,
                "is another tool's slug too",
            );
            continue;
        }
        tools.extend(tool(&key, raw, problems));
    }
    let catalogue = Catalogue::new(tools);
    catalogue.map_err(|error| problems.add("tool", error)).ok()
}

fn tool(key: &str, raw: raw::Tool, problems: &mut Problems) -> Option<Tool> {
    let slug = problems.take(format!("{key}.slug"), &raw.slug, raw.slug.parse::<Slug>());
    let name = raw.name.unwrap_or_else(|| raw.slug.clone());
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let what = format_args!("must be 1 to {NAME_BYTES_MAX} bytes");
        problems.add_value(format!("{key}.name"), &name, what);
    }
    if raw.description.len() > DESCRIPTION_BYTES_MAX {
        let what = format_args!("is longer than {DESCRIPTION_BYTES_MAX} bytes");
        problems.add_value(format!("{key}.description"), &raw.description, what);
    }
    // Not repeated: a wrong URL may be wrong because it holds a password.
    let target = Target::parse(&raw.base_url, raw.allow_private)
        .map_err(|error| problems.add(format!("{key}.base_url"), error))
        .ok();
    if raw.action.is_empty() || raw.action.len() > ACTIONS_MAX {
        let what = format_args!("must be 1 to {ACTIONS_MAX} actions: write [[tool.action]]");
        problems.add(format!("{key}.action"), what);
    }
    let mut slugs = HashSet::new();
    let mut actions = Vec::new();
    for (index, raw) in raw.action.into_iter().enumerate() {
        let key = format!("{key}.action[{index}]");
        if !slugs.insert(raw.slug.clone()) {
            let what = "is another action's slug too";
            problems.add_value(format!("{key}.slug"), &raw.slug, what);
            continue;
        }
        actions.extend(action(&key, raw, problems));
    }
    let tool = Tool::new(slug?, name, raw.description, target?, actions);
    tool.map_err(|error| problems.add(key, error)).ok()
}

fn action(key: &str, raw: raw::Action, problems: &mut Problems) -> Option<Action> {
    let slug = problems.take(format!("{key}.slug"), &raw.slug, raw.slug.parse());
    let method = problems.take(format!("{key}.method"), &raw.method, raw.method.parse());
    let price = problems.take(
        format!("{key}.price_credits"),
        &raw.price_credits,
        raw.price_credits.parse(),
    );
    let spec = ActionSpec {
        slug: slug?,
        description: raw.description,
        method: method?,
        path: raw.path.clone(),
        price: price?,
        timeout_ms: raw.timeout_ms,
        x402: raw.x402,
        settle_first: raw.settle_first,
        parameters: raw.parameters.into_iter().collect(),
    };
    let errors = match Action::new(spec) {
        Ok(action) => return Some(action),
        Err(errors) => errors,
    };
    for error in errors {
        match &error {
            ActionError::Description => problems.add(format!("{key}.description"), error),
            ActionError::Path => problems.add_value(format!("{key}.path"), &raw.path, error),
            ActionError::Price => {
                problems.add_value(format!("{key}.price_credits"), &raw.price_credits, error);
            }
            ActionError::Timeout => {
                problems.add_value(format!("{key}.timeout_ms"), raw.timeout_ms, error);
            }
            ActionError::SettleFirst => problems.add(format!("{key}.settle_first"), error),
            ActionError::Parameters(_) => problems.add(format!("{key}.parameters"), error),
        }
    }
    None
}
