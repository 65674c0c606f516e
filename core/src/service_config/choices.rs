//! Which of several service configs is this client's: the choices that a name's owner gives in DNS (A2).
//!
//! A choice holds for the clients that meet all it says, and the first that holds for this one is taken. Of the others no more is looked at than
//! what they say of clients ([INV-1]).

use super::ServiceConfig;
use super::fields::{self, Field, Mistakes, Object};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'a> {
    /// The names its language goes by.
    pub(crate) languages: &'a [&'a str],
    /// The name of its machine.
    pub(crate) hostname: &'a str,
    /// A random fraction in 0..1: whether it is among a choice's percentage of clients.
    pub(crate) unit: f64,
}

/// The fields of a choice; in it, unlike in a config, there are no others.
const FIELDS: [&str; 4] = ["clientLanguage", "percentage", "clientHostname", "serviceConfig"];

impl ServiceConfig {
    /// The config of the first choice that holds for this client; `None` when none does. The text is a JSON list of choices.
    ///
    /// # Errors
    /// Every mistake in the choices and in the config that is chosen.
    pub(crate) fn choose(text: &str, client: &Client<'_>) -> Result<Option<Self>, Mistakes> {
        fields::read_text(text, |whole| {
            let choices = whole.list()?.into_iter().map(|choice| Choice::read(&choice.object()?, client));
            let choices: Vec<Option<Choice<'_>>> = choices.collect();
            let chosen = choices.into_iter().flatten().find(|choice| choice.is_meant);
            Some(chosen.map(|choice| Self::read(&choice.service_config)))
        })
    }
}

struct Choice<'a> {
    /// Whether it holds for this client.
    is_meant: bool,
    service_config: Object<'a>,
}

impl<'a> Choice<'a> {
    /// [NAME-56]
    fn read(object: &Object<'a>, client: &Client<'_>) -> Option<Self> {
        for name in object.names().filter(|name| !FIELDS.contains(name)) {
            object.mistake::<()>(format!("{name:?} is no field of a choice; it may have {}", FIELDS.join(", ")));
        }
        let is_language = |wanted: &str| client.languages.iter().any(|language| language.eq_ignore_ascii_case(wanted));
        let language = is_listed(object.field("clientLanguage"), is_language);
        let hostname = is_listed(object.field("clientHostname"), |wanted| wanted == client.hostname);
        let percentage = object.field("percentage").map_or(Some(100), |field| field.unsigned(0..=100));
        let service_config = object.required("serviceConfig").and_then(|field| field.object());
        // 0 is nobody, as the fraction is not below it, and 100 everybody.
        let is_drawn = client.unit * 100.0 < f64::from(percentage?);
        Some(Self { is_meant: language? && hostname? && is_drawn, service_config: service_config? })
    }
}

/// Whether the list has something that is meant; where there is none, or nothing in it, everything is.
fn is_listed(list: Option<Field<'_>>, is_meant: impl Fn(&str) -> bool) -> Option<bool> {
    let Some(list) = list else { return Some(true) };
    let texts: Vec<Option<&str>> = list.list()?.iter().map(Field::text).collect();
    let texts: Vec<&str> = texts.into_iter().collect::<Option<_>>()?;
    Some(texts.is_empty() || texts.into_iter().any(is_meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Client<'_> = Client { languages: &["python", "c++"], hostname: "host-1", unit: 0.3 };

    /// A choice whose config is known by the name of its health check.
    fn choice(criteria: &str, name: &str) -> String {
        format!(r#"{{{criteria} "serviceConfig": {{"healthCheckConfig": {{"serviceName": "{name}"}}}}}}"#)
    }

    fn chosen_by(client: &Client<'_>, text: &str) -> Result<Option<String>, String> {
        let chosen = ServiceConfig::choose(text, client).map_err(|mistakes| mistakes.to_string())?;
        Ok(chosen.map(|config| config.health_check_service.unwrap_or_default()))
    }

    /// Whether a choice with these criteria holds for this client.
    fn holds(client: &Client<'_>, criteria: &str) -> bool {
        let chosen = chosen_by(client, &format!("[{}]", choice(criteria, "taken"))).expect(criteria);
        chosen.as_deref() == Some("taken")
    }

    /// [NAME-56], [TXT-3], [TXT-6]
    #[test]
    fn a_choice_holds_for_whoever_meets_all_it_says() {
        for (criteria, is_meant) in [
            ("", true),
            (r#""clientLanguage": null, "percentage": null, "clientHostname": null,"#, true),
            (r#""clientLanguage": [], "clientHostname": [],"#, true),
            (r#""clientLanguage": ["go", "Python"],"#, true),
            (r#""clientLanguage": ["C++"],"#, true),
            (r#""clientLanguage": ["go", "java"],"#, false),
            (r#""clientHostname": ["host-2", "host-1"],"#, true),
            (r#""clientHostname": ["HOST-1"],"#, false),
            (r#""clientHostname": ["host"],"#, false),
            (r#""clientLanguage": ["python"], "clientHostname": ["host-2"],"#, false),
            (r#""clientLanguage": ["python"], "clientHostname": ["host-1"], "percentage": 31,"#, true),
            (r#""clientLanguage": ["python"], "clientHostname": ["host-1"], "percentage": 30,"#, false),
        ] {
            assert_eq!(holds(&CLIENT, criteria), is_meant, "{criteria}");
        }
    }

    /// [NAME-56], [TXT-5]
    #[test]
    fn a_percentage_is_that_of_clients() {
        let table = [
            (0, 0.0, false),
            (1, 0.0, true),
            (1, 0.01, false),
            (50, 0.499, true),
            (50, 0.5, false),
            (100, 0.0, true),
            (100, 1.0 - f64::EPSILON, true),
        ];
        for (percentage, unit, is_meant) in table {
            let client = Client { unit, ..CLIENT };
            assert_eq!(holds(&client, &format!(r#""percentage": {percentage},"#)), is_meant, "{unit} of {percentage}");
        }
    }

    /// [NAME-56], [TXT-3], [TXT-4]
    #[test]
    fn the_first_choice_that_holds_is_taken_and_none_is_no_config() {
        let (go, python) = (r#""clientLanguage": ["go"],"#, r#""clientLanguage": ["python"],"#);
        let list = |choices: &[String]| format!("[{}]", choices.join(","));
        let text = list(&[choice(go, "one"), choice(python, "two"), choice("", "three")]);
        assert_eq!(chosen_by(&CLIENT, &text), Ok(Some("two".to_owned())));
        let elsewhere = Client { languages: &["node"], ..CLIENT };
        assert_eq!(chosen_by(&elsewhere, &text), Ok(Some("three".to_owned())));
        assert_eq!(chosen_by(&elsewhere, &list(&[choice(go, "one")])), Ok(None));
        assert_eq!(chosen_by(&elsewhere, "[]"), Ok(None));
    }

    /// [INV-1], [NAME-59]
    #[test]
    fn only_the_config_that_is_chosen_is_looked_at() {
        let others = r#"[{"clientLanguage": ["go"], "serviceConfig": {"methodConfig": 5}},
                         {"serviceConfig": {}}, {"serviceConfig": {"methodConfig": 6}}]"#;
        assert_eq!(chosen_by(&CLIENT, others), Ok(Some(String::new())));
        let wrong = r#"[{"clientLanguage": ["go"], "serviceConfig": {}}, {"serviceConfig": {"methodConfig": 6}}]"#;
        let mistake = "[1].serviceConfig.methodConfig: 6 is not a list";
        assert_eq!(chosen_by(&CLIENT, wrong), Err(mistake.to_owned()));
    }

    /// [TXT-3], [NAME-59]
    #[test]
    fn a_mistake_in_any_choice_makes_all_of_them_invalid() {
        for (text, mistake) in [
            ("", "the text is empty"),
            ("{}", "the config: an object is not a list"),
            ("[1]", "[0]: 1 is not an object"),
            (r#"[{"serviceConfig": {}}, {}]"#, "[1].serviceConfig: it is missing"),
            (r#"[{"serviceConfig": []}]"#, "[0].serviceConfig: a list is not an object"),
            (r#"[{"serviceConfig": {}, "clientlanguage": []}]"#, "[0]: \"clientlanguage\" is no field of a choice"),
            (r#"[{"serviceConfig": {}, "clientLanguage": "go"}]"#, "[0].clientLanguage: \"go\" is not a list"),
            (r#"[{"serviceConfig": {}, "clientHostname": [1]}]"#, "[0].clientHostname[0]: 1 is not a string"),
            (
                r#"[{"serviceConfig": {}, "percentage": 101}]"#,
                "[0].percentage: 101 is not a whole number from 0 to 100",
            ),
        ] {
            let found = chosen_by(&CLIENT, text).expect_err(text);
            assert!(found.starts_with(mistake), "{text}: {found}");
        }
    }
}
