//! The tools that are for sale, found by their slugs.

use std::collections::{BTreeMap, HashMap};

use thiserror::Error;

use super::{action::Action, price_list::PriceList, target::Target};
use crate::base::Slug;

/// One tool: a host, and what it does.
#[derive(Debug)]
pub struct Tool {
    slug: Slug,
    name: String,
    description: String,
    target: Target,
    actions: Vec<Action>,
}

/// Every tool, in the operator's order, with the price list that follows from them.
#[derive(Debug)]
pub struct Catalogue {
    tools: Vec<Tool>,
    index: HashMap<Slug, usize>,
    price_list: PriceList,
}

/// Why tools or actions cannot stand beside each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CatalogueError {
    #[error("two tools have the slug {0}")]
    DuplicateTool(Slug),
    #[error("two actions of the tool {tool} have the slug {action}")]
    DuplicateAction { tool: Slug, action: Slug },
}

impl Tool {
    /// # Errors
    /// When two actions have one slug.
    pub fn new(
        slug: Slug,
        name: String,
        description: String,
        target: Target,
        actions: Vec<Action>,
    ) -> Result<Self, CatalogueError> {
        for (position, action) in actions.iter().enumerate() {
            let before = &actions[..position];
            if before.iter().any(|other| other.slug() == action.slug()) {
                let (tool, action) = (slug, action.slug().clone());
                return Err(CatalogueError::DuplicateAction { tool, action });
            }
        }
        Ok(Self {
            slug,
            name,
            description,
            target,
            actions,
        })
    }

    #[must_use]
    pub const fn slug(&self) -> &Slug {
        &self.slug
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// In the operator's order.
    #[must_use]
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    #[must_use]
    pub fn action(&self, slug: &Slug) -> Option<&Action> {
        self.actions.iter().find(|action| action.slug() == slug)
    }

    /// The action that needs no naming, when there is only one.
    #[must_use]
    pub fn only_action(&self) -> Option<&Action> {
        match self.actions.as_slice() {
            [action] => Some(action),
            _ => None,
        }
    }
}

impl Catalogue {
    /// # Errors
    /// When two tools have one slug.
    pub fn new(tools: Vec<Tool>) -> Result<Self, CatalogueError> {
        let mut index = HashMap::new();
        let mut prices = BTreeMap::new();
        for (position, tool) in tools.iter().enumerate() {
            if index.insert(tool.slug.clone(), position).is_some() {
                return Err(CatalogueError::DuplicateTool(tool.slug.clone()));
            }
            let of_tool = tool.actions.iter();
            let of_tool = of_tool.map(|action| (action.slug().clone(), action.price()));
            prices.insert(tool.slug.clone(), of_tool.collect());
        }
        Ok(Self {
            tools,
            index,
            price_list: PriceList::new(prices),
        })
    }

    /// In the operator's order.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    #[must_use]
    pub fn tool(&self, slug: &Slug) -> Option<&Tool> {
        self.index.get(slug).map(|position| &self.tools[*position])
    }

    #[must_use]
    pub fn lookup(&self, tool: &Slug, action: &Slug) -> Option<(&Tool, &Action)> {
        let tool = self.tool(tool)?;
        Some((tool, tool.action(action)?))
    }

    /// The prices in force.
    #[must_use]
    pub const fn price_list(&self) -> &PriceList {
        &self.price_list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::action::tests::spec;

    fn slug(text: &str) -> Slug {
        text.parse().unwrap()
    }

    fn tool(name: &str, actions: &[(&str, &str)]) -> Result<Tool, CatalogueError> {
        let actions = actions
            .iter()
            .map(|(action, price)| Action::new(spec(action, price)).unwrap())
            .collect();
        Tool::new(
            slug(name),
            name.into(),
            String::new(),
            Target::Echo,
            actions,
        )
    }

    #[test]
    fn finds_by_slug_and_keeps_the_operators_order() {
        let catalogue = Catalogue::new(vec![
            tool("weather", &[("now", "5"), ("forecast", "0.5")]).unwrap(),
            tool("atlas", &[("map", "1")]).unwrap(),
        ])
        .unwrap();
        let slugs: Vec<_> = catalogue
            .tools()
            .iter()
            .map(|tool| tool.slug.as_str())
            .collect();
        assert_eq!(slugs, ["weather", "atlas"]);
        let (found, action) = catalogue
            .lookup(&slug("weather"), &slug("forecast"))
            .unwrap();
        assert_eq!(found.slug(), &slug("weather"));
        assert_eq!(action.price().to_string(), "0.5");
        assert!(catalogue.lookup(&slug("weather"), &slug("map")).is_none());
        assert!(catalogue.lookup(&slug("other"), &slug("map")).is_none());
        assert!(catalogue.tools()[0].only_action().is_none());
        assert_eq!(
            catalogue.tools()[1].only_action().unwrap().slug(),
            &slug("map")
        );
    }

    #[test]
    fn the_price_list_does_not_depend_on_order() {
        let list = |tools: Vec<Tool>| Catalogue::new(tools).unwrap().price_list;
        let weather = || tool("weather", &[("now", "5"), ("forecast", "0.5")]).unwrap();
        let turned = || tool("weather", &[("forecast", "0.5"), ("now", "5")]).unwrap();
        let atlas = || tool("atlas", &[("map", "1")]).unwrap();
        let one = list(vec![weather(), atlas()]);
        assert_eq!(one, list(vec![atlas(), turned()]));
        assert_eq!(
            one.text(),
            r#"{"tools":{"atlas":{"map":10000},"weather":{"forecast":5000,"now":50000}},"units_per_credit":10000}"#
        );
        assert_eq!(PriceList::parse(one.text()), Ok(one));
    }

    #[test]
    fn duplicates_are_named() {
        assert_eq!(
            tool("a", &[("x", "1"), ("y", "1"), ("x", "2")]).unwrap_err(),
            CatalogueError::DuplicateAction {
                tool: slug("a"),
                action: slug("x")
            }
        );
        let twice = vec![tool("a", &[]).unwrap(), tool("a", &[]).unwrap()];
        assert_eq!(
            Catalogue::new(twice).unwrap_err(),
            CatalogueError::DuplicateTool(slug("a"))
        );
    }
}
