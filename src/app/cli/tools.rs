//! `counterfoil tools`

use super::{
    connection::ServiceArgs,
    outcome::{Done, Failed, amount, rows},
    progress::waiting,
};
use crate::{
    base::Slug,
    client::{ActionInfo, ToolInfo},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  counterfoil tools\n  counterfoil tools weather")]
pub(super) struct Args {
    /// One tool, with the JSON Schema of its parameters
    tool: Option<Slug>,
    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) async fn run(args: &Args) -> Result<Done, Failed> {
    let client = args.service.client()?;
    if let Some(tool) = &args.tool {
        let tool = waiting("asking", client.tool(tool.as_str())).await?;
        return Ok(Done {
            json: tool.document.get().to_owned(),
            human: describe(&tool),
        });
    }
    let catalogue = waiting("asking", client.tools()).await?;
    Ok(Done {
        json: catalogue.document.get().to_owned(),
        human: list(&catalogue.tools),
    })
}

/// One action a line.
fn list(tools: &[ToolInfo]) -> String {
    let mut table = Vec::new();
    for tool in tools {
        for action in &tool.actions {
            table.push([
                format!("{} {}", tool.slug, action.slug),
                format!("{} credits", action.price),
                format!("{} USD", action.price.usd()),
                way(action).to_owned(),
                action.description.clone(),
            ]);
        }
    }
    if table.is_empty() {
        return "Nothing is for sale.".to_owned();
    }
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (names, credits, dollars) = (width(0), width(1), width(2));
    let lines = table.iter().map(|[name, credit, usd, way, description]| {
        let line =
            format!("{name:<names$}  {credit:>credits$}  {usd:>dollars$}  {way:<4}  {description}");
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn describe(tool: &ToolInfo) -> String {
    let mut lines = vec![format!("{} ({})", tool.name, tool.slug)];
    if !tool.description.is_empty() {
        lines.push(tool.description.clone());
    }
    for action in &tool.actions {
        let price = match way(action) {
            "" => amount(action.price),
            way => format!("{}, or by {way}", amount(action.price)),
        };
        let mut table = vec![("price", price)];
        if !action.description.is_empty() {
            table.push(("does", action.description.clone()));
        }
        if let Some(schema) = &action.parameters {
            table.push(("parameters", schema.get().to_owned()));
        }
        lines.push(format!("\n{} {}", tool.slug, action.slug));
        lines.push(rows(&table));
    }
    lines.join("\n")
}

fn way(action: &ActionInfo) -> &'static str {
    if action.x402 { "x402" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool() -> ToolInfo {
        let action = |slug: &str, price: &str, x402| ActionInfo {
            slug: slug.into(),
            description: "Does it".into(),
            price: price.parse().unwrap(),
            x402,
            parameters: None,
        };
        ToolInfo {
            slug: "weather".into(),
            name: "Weather".into(),
            description: String::new(),
            actions: vec![action("forecast", "5", true), action("now", "0.25", false)],
            document: Box::default(),
        }
    }

    #[test]
    fn the_list_is_in_line() {
        let expected = "\
            weather forecast     5 credits    0.05 USD  x402  Does it\n\
            weather now       0.25 credits  0.0025 USD        Does it";
        assert_eq!(list(&[tool()]), expected);
        assert_eq!(list(&[]), "Nothing is for sale.");
    }

    #[test]
    fn a_tool_shows_what_each_action_costs() {
        let text = describe(&tool());
        assert!(text.starts_with("Weather (weather)\n\nweather forecast\nprice  5 credits"));
        assert!(text.contains("(0.05 USD), or by x402\n"), "{text}");
    }
}
