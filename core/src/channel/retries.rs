//! What a channel's options say of sending calls again.

use super::options::{ChannelOptions, Preset};
use crate::error::{Error, ErrorKind};
use crate::policy::retry::idempotent::IdempotentMethods;
use crate::policy::retry::rules::RetryRules;
use crate::policy::transparent_retry::{BudgetOptions, TransparentRetryOptions};

/// Because of policies, or because a call may run twice.
///
/// # Errors
/// [`ErrorKind::BadOption`]: `linkspan.idempotent_methods` has what is no name.
pub(super) fn rules(options: &ChannelOptions, preset: Preset) -> Result<RetryRules, Error> {
    let key = "linkspan.idempotent_methods";
    let refused = |name: &str| {
        let wanted = "\"/package.Service/Method\", or \"/package.Service/\" for all its methods";
        Error::new(ErrorKind::BadOption, format!("option {key:?} has {name:?}, which is no method; write {wanted}"))
    };
    let idempotent = IdempotentMethods::parse(options.text(key).unwrap_or_default()).map_err(refused)?;
    // gRPC's names count where ours is not set.
    let most =
        ["linkspan.max_retry_attempts", "linkspan.retry_max_attempts_limit", "grpc-node.retry_max_attempts_limit"];
    let most = most.into_iter().find(|key| options.int(key).is_some()).unwrap_or(most[0]);
    // The registry's ranges keep these from saturating.
    let unsigned = |key: &str| u64::try_from(options.number(key, preset)).unwrap_or(0);
    Ok(RetryRules {
        is_enabled: options.flag("grpc.enable_retries").unwrap_or(true),
        max_attempts: u32::try_from(unsigned(most)).unwrap_or(u32::MAX),
        call_buffer: unsigned("grpc.per_rpc_retry_buffer_size"),
        channel_buffer: unsigned("grpc.retry_buffer_size"),
        idempotent,
    })
}

/// Because the server did not process them.
///
/// # Errors
/// [`ErrorKind::BadOption`]: `linkspan.retry_budget` is not what it may be.
pub(super) fn unseen(options: &ChannelOptions, preset: Preset) -> Result<TransparentRetryOptions, Error> {
    let most_per_call = match preset {
        Preset::Grpc => 1,
        Preset::Resilient => 5,
    };
    Ok(TransparentRetryOptions { most_per_call, budget: retry_budget(options, preset)? })
}

/// `ratio, minimum per second`.
fn retry_budget(options: &ChannelOptions, preset: Preset) -> Result<Option<BudgetOptions>, Error> {
    let key = "linkspan.retry_budget";
    let text = match (options.text(key), preset) {
        (Some(text), _) => text,
        (None, Preset::Grpc) => "off",
        (None, Preset::Resilient) => "0.2, 10",
    };
    if text == "off" {
        return Ok(None);
    }
    let number = |text: &str| text.trim().parse().ok().filter(|number| (0.0..=1e6).contains(number));
    let parsed = text.split_once(',').and_then(|(ratio, per_second)| Some((number(ratio)?, number(per_second)?)));
    match parsed {
        Some((ratio, min_per_second)) => Ok(Some(BudgetOptions { ratio, min_per_second })),
        None => {
            let wanted = "\"off\", or a share of the calls and a number per second, as in \"0.2, 10\"";
            Err(Error::new(ErrorKind::BadOption, format!("option {key:?} may be {wanted}; it is {text:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::options::OptionValue;

    fn options(set: &[(&str, OptionValue)]) -> ChannelOptions {
        let mut options = ChannelOptions::new();
        for (key, value) in set {
            options.set(key, value.clone()).expect(key);
        }
        options
    }

    fn rules_of(set: &[(&str, OptionValue)]) -> Result<RetryRules, Error> {
        rules(&options(set), Preset::Resilient)
    }

    /// [BUF-01], [BUF-02], [RPOL-02], [RPOL-03]
    #[test]
    fn rules_are_what_was_set_or_grpcs_own() {
        let of = |preset| rules(&ChannelOptions::new(), preset);
        assert_eq!(of(Preset::Grpc), Ok(RetryRules::default()));
        assert_eq!(of(Preset::Resilient), Ok(RetryRules::default()));
        let set = [
            ("grpc.enable_retries", 0.into()),
            ("linkspan.max_retry_attempts", 2.into()),
            ("grpc.per_rpc_retry_buffer_size", 0.into()),
            ("grpc.retry_buffer_size", 7.into()),
            ("linkspan.idempotent_methods", "/a.S/Read".into()),
        ];
        let wanted = RetryRules {
            is_enabled: false,
            max_attempts: 2,
            call_buffer: 0,
            channel_buffer: 7,
            idempotent: IdempotentMethods::parse("/a.S/Read").expect("a name"),
        };
        assert_eq!(rules_of(&set), Ok(wanted));
    }

    /// [RPOL-10]
    #[test]
    fn grpcs_name_of_the_most_attempts_counts_and_ours_wins() {
        let names =
            ["grpc-node.retry_max_attempts_limit", "linkspan.retry_max_attempts_limit", "linkspan.max_retry_attempts"];
        let mut set = Vec::new();
        for (name, most) in names.into_iter().zip(7_u32..) {
            set.push((name, OptionValue::Int(most.into())));
            assert_eq!(rules_of(&set).expect("valid").max_attempts, most, "{name}");
            let refused = ChannelOptions::new().set(name, 1).expect_err("the first attempt is one");
            assert_eq!(refused.kind(), ErrorKind::BadOption);
        }
    }

    #[test]
    fn a_name_that_is_no_method_is_told() {
        let refused = rules_of(&[("linkspan.idempotent_methods", "/a.S/Read, a.S/List".into())]).expect_err("no slash");
        assert_eq!(refused.kind(), ErrorKind::BadOption);
        let text = "option \"linkspan.idempotent_methods\" has \"a.S/List\", which is no method; write";
        assert!(refused.message().starts_with(text), "{refused}");
    }

    #[test]
    fn retry_budgets_are_two_numbers_or_off() {
        let with = |text: &str| {
            let unseen = unseen(&options(&[("linkspan.retry_budget", text.into())]), Preset::Resilient);
            unseen.map(|options| options.budget)
        };
        let of = |preset| unseen(&ChannelOptions::new(), preset);
        let default = Some(BudgetOptions { ratio: 0.2, min_per_second: 10.0 });
        let resilient = TransparentRetryOptions { most_per_call: 5, budget: default };
        assert_eq!(of(Preset::Resilient), Ok(resilient));
        assert_eq!(of(Preset::Grpc), Ok(TransparentRetryOptions { most_per_call: 1, budget: None }));
        assert_eq!(with("off"), Ok(None));
        assert_eq!(with("1,0.5"), Ok(Some(BudgetOptions { ratio: 1.0, min_per_second: 0.5 })));
        for wrong in ["", "1", "x, 1", "1, -1", "nan, 1", "1, 1e9"] {
            assert_eq!(with(wrong).expect_err(wrong).kind(), ErrorKind::BadOption);
        }
    }
}
