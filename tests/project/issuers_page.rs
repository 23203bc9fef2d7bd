//! docs/issuers.md: each recipe has what its reader needs, and a table that `callgate check` accepts as it stands.

use std::path::Path;

use callgate::config::load_str;

const PAGE: &str = include_str!("../../docs/issuers.md");

/// What stands around the table of an issuer.
const REST: &str = "[listen]\naddress = \"127.0.0.1:8080\"\n[upstream]\naddress = \"127.0.0.1:3000\"\n[admin]\n\
                    address = \"127.0.0.1:9901\"\n";

const ISSUERS: [&str; 14] = [
    "Keycloak",
    "Microsoft Entra ID",
    "Auth0",
    "Okta",
    "Amazon Cognito",
    "Google",
    "Zitadel",
    "better-auth",
    "Kubernetes",
    "Amazon EKS",
    "Google GKE",
    "SPIRE",
    "GitHub Actions",
    "GitLab",
];

/// The recipes, each with its heading.
fn recipes() -> Vec<(&'static str, &'static str)> {
    PAGE.split("\n## ").skip(1).map(|part| part.split_once('\n').expect("a heading")).collect()
}

fn table(recipe: &str) -> &str {
    let (_, rest) = recipe.split_once("```toml\n").expect("a table");
    let (table, after) = rest.split_once("```\n").expect("its end");
    assert!(!after.contains("```toml"), "one table: {after}");
    table
}

#[test]
fn there_is_a_recipe_for_each_issuer_and_no_other() {
    let found: Vec<_> = recipes().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, ISSUERS);
}

#[test]
fn check_accepts_the_table_of_each_recipe_without_a_warning() {
    for (name, recipe) in recipes() {
        let text = format!("{REST}{}", table(recipe));
        let compiled =
            load_str("sidecar.toml", &text, Path::new("")).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        // The cluster's name is in a pod's token, and this is no pod.
        let warned: Vec<_> = compiled.warnings.iter().map(|warning| warning.key.as_str()).collect();
        assert_eq!(warned, if name == "Kubernetes" { vec!["issuers[0].issuer"] } else { vec![] }, "{name}");
        assert_eq!(compiled.issuers.iter().count(), 1, "{name}");
        // Without the audience it would be one for everybody's tokens.
        let open: String =
            text.lines().filter(|line| !line.starts_with("audiences")).map(|line| format!("{line}\n")).collect();
        assert!(load_str("sidecar.toml", &open, Path::new("")).is_err(), "{name}");
    }
}

#[test]
fn each_recipe_says_caller_audience_algorithm_type_and_trap() {
    for (name, recipe) in recipes() {
        let (_, said) = recipe.split_once("```\n").expect("words after the table");
        let words: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("* **")?.split_once(":**")).collect();
        let titles: Vec<_> = words.iter().map(|(title, _)| *title).collect();
        assert_eq!(titles, ["Caller", "Audience", "Algorithm", "Type", "Trap"], "{name}");
        assert!(words.iter().all(|(_, text)| text.len() > 4), "{name}: {words:?}");
    }
}

/// Where anybody can get a token for any audience, only the form of the caller's name keeps strangers out.
#[test]
fn issuers_of_everybody_have_a_pattern_that_ends_their_owners_name() {
    for (name, beginning) in
        [("GitHub Actions", "repo:shop-org/*"), ("GitLab", "project_path:shop/*"), ("Google", "{name}@shop-prod.")]
    {
        let (_, recipe) = recipes().into_iter().find(|(heading, _)| *heading == name).expect("a recipe");
        assert!(table(recipe).contains(&format!("pattern = \"{beginning}")), "{name}");
    }
}
