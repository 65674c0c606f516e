//! Service configs that DNS has for a name, in TXT records (A2). Pure: who looks the records up calls this with what it found.

use std::sync::Arc;

use crate::service_config::ServiceConfig;
use crate::service_config::choices::Client;

/// What the text of a record with choices begins with; others are somebody else's ([NAME-55]).
const PREFIX: &[u8] = b"grpc_config=";

/// The name whose TXT records have the config of a host. `None` for this machine, which has none ([NAME-49]).
pub(crate) fn name(host: &str) -> Option<String> {
    let plain = host.trim_end_matches('.');
    (!plain.eq_ignore_ascii_case("localhost")).then(|| format!("_grpc_config.{host}"))
}

/// The names by which choices may call clients of a face. The libraries that Python and C programs have used so far are C-core underneath, which
/// calls itself `c++`; a config that is written for them holds for ours.
pub(crate) fn languages(face: &'static str) -> &'static [&'static str] {
    match face {
        "python" => &["python", "c++"],
        "c" => &["c", "c++"],
        "node" => &["node"],
        _ => &["rust"],
    }
}

/// What these records say to this client; `None` when they say nothing to it. A record is a list of strings of up to 255 bytes, which are one text
/// ([NAME-55]). Of several records with choices the first counts.
///
/// The text of the error says what is wrong with the record; it makes the service config invalid ([NAME-59]).
pub(crate) fn service_config<R, S>(
    records: impl IntoIterator<Item = R>,
    client: &Client<'_>,
) -> Option<Result<Arc<ServiceConfig>, String>>
where
    R: AsRef<[S]>,
    S: AsRef<[u8]>,
{
    let texts = records.into_iter().map(|record| record.as_ref().iter().flat_map(AsRef::as_ref).copied().collect());
    let choices = texts.into_iter().find_map(|text: Vec<u8>| text.strip_prefix(PREFIX).map(<[u8]>::to_vec))?;
    let chosen = String::from_utf8(choices).map_err(|_| "the TXT record is no UTF-8".to_owned()).and_then(|text| {
        ServiceConfig::choose(&text, client).map_err(|mistakes| format!("the TXT record: {mistakes}"))
    });
    chosen.transpose().map(|config| config.map(Arc::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Client<'_> = Client { languages: &["rust"], hostname: "host-1", unit: 0.5 };

    /// The name of the config's health check, by which it is known.
    fn found(records: &[&[&str]]) -> Option<Result<String, String>> {
        service_config(records, &CLIENT).map(|config| Ok(config?.health_check_service.clone().unwrap_or_default()))
    }

    /// [NAME-49], [NAME-55], [TXT-2]
    #[test]
    fn a_host_has_its_config_under_a_name_of_its_own_and_this_machine_has_none() {
        assert_eq!(name("example.com").as_deref(), Some("_grpc_config.example.com"));
        for host in ["localhost", "LocalHost", "localhost."] {
            assert_eq!(name(host), None, "{host}");
        }
    }

    /// [NAME-55], [TXT-1]
    #[test]
    fn a_record_is_one_text_whatever_its_pieces() {
        let text = r#"grpc_config=[{"serviceConfig": {"healthCheckConfig": {"serviceName": "a"}}}]"#;
        for at in [0, 3, 12, 40, text.len()] {
            let (first, rest) = text.split_at(at);
            assert_eq!(found(&[&[first, rest]]), Some(Ok("a".to_owned())), "{at}");
        }
    }

    /// [NAME-55], [NAME-56], [TXT-4], [TXT-8]
    #[test]
    fn records_of_others_are_passed_over_and_what_is_left_may_be_nothing() {
        let of_others = ["v=spf1 -all", "grpc_config", "GRPC_CONFIG=[]", " grpc_config=[]", ""];
        let mut records: Vec<&[&str]> = of_others.iter().map(std::slice::from_ref).collect();
        assert_eq!(found(&records), None);
        records.push(&["grpc_config=[{\"serviceConfig\": {}}]"]);
        assert_eq!(found(&records), Some(Ok(String::new())));
        assert_eq!(found(&[&["grpc_config=[]"]]), None);
        let of_go = r#"grpc_config=[{"clientLanguage": ["go"], "serviceConfig": {}}]"#;
        assert_eq!(found(&[&[of_go]]), None);
    }

    /// [NAME-59]
    #[test]
    fn a_wrong_record_is_an_invalid_config() {
        let said = |text: &str| found(&[&[text]]).expect("said").expect_err(text);
        assert_eq!(said("grpc_config="), "the TXT record: the text is empty; a config without settings is {}");
        assert_eq!(said("grpc_config=[{}]"), "the TXT record: [0].serviceConfig: it is missing");
        let bytes: &[&[u8]] = &[b"grpc_config=[\"\xFF\"]"];
        let refused = service_config([bytes], &CLIENT).expect("said").expect_err("no text");
        assert_eq!(refused, "the TXT record is no UTF-8");
    }

    /// [TXT-6]
    #[test]
    fn a_face_goes_by_its_language_and_by_the_library_it_stands_in_for() {
        assert_eq!(languages("python"), ["python", "c++"]);
        assert_eq!(languages("c"), ["c", "c++"]);
        assert_eq!(languages("node"), ["node"]);
        assert_eq!(languages("rust"), ["rust"]);
    }
}
