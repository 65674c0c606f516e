//! Which number of a report says how busy its server is ([LB-40]).

use crate::load_report::LoadReport;

/// The name of a number in reports (A114).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MetricName {
    ApplicationUtilization,
    CpuUtilization,
    MemUtilization,
    /// By its key in `utilization`.
    Utilization(Box<str>),
    /// By its key in `named_metrics`.
    NamedMetric(Box<str>),
}

impl MetricName {
    /// The metric of this name; `None` for a name that no report of today has.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name.split_once('.') {
            None if name == "application_utilization" => Some(Self::ApplicationUtilization),
            None if name == "cpu_utilization" => Some(Self::CpuUtilization),
            None if name == "mem_utilization" => Some(Self::MemUtilization),
            // Keys may have dots themselves.
            Some(("utilization", key)) => Some(Self::Utilization(key.into())),
            Some(("named_metrics", key)) => Some(Self::NamedMetric(key.into())),
            _ => None,
        }
    }

    fn in_report(&self, report: &LoadReport<'_>) -> f64 {
        match self {
            Self::ApplicationUtilization => report.application_utilization,
            Self::CpuUtilization => report.cpu_utilization,
            Self::MemUtilization => report.mem_utilization,
            Self::Utilization(key) => report.utilization(key).unwrap_or(0.0),
            Self::NamedMetric(key) => report.named_metric(key).unwrap_or(0.0),
        }
    }
}

/// The largest of the named metrics; without one, what the application says, else the processor. 0 or less, or no number, where the
/// report says nothing.
pub(super) fn utilization(report: &LoadReport<'_>, names: &[MetricName]) -> f64 {
    // No number is not above 0 either.
    let named = names.iter().map(|name| name.in_report(report)).filter(|value| *value > 0.0);
    named.reduce(f64::max).unwrap_or(if report.application_utilization > 0.0 {
        report.application_utilization
    } else {
        report.cpu_utilization
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [LB-40]
    #[test]
    fn metrics_are_named_by_field_and_key_and_parted_at_the_first_dot() {
        let table = [
            ("application_utilization", Some(MetricName::ApplicationUtilization)),
            ("cpu_utilization", Some(MetricName::CpuUtilization)),
            ("mem_utilization", Some(MetricName::MemUtilization)),
            ("utilization.disk", Some(MetricName::Utilization("disk".into()))),
            ("named_metrics.queue.depth", Some(MetricName::NamedMetric("queue.depth".into()))),
            ("named_metrics.", Some(MetricName::NamedMetric("".into()))),
            ("named_metrics", None),
            ("cpu_utilization.", None),
            ("request_cost.db", None),
            ("", None),
        ];
        for (name, metric) in table {
            assert_eq!(MetricName::of(name), metric, "{name}");
        }
    }

    /// [LB-40]
    #[test]
    fn utilization_is_the_largest_named_metric_else_the_applications_else_the_processors() {
        // Fields 5 and 8 hold an entry each: utilization "d" of 0.5 and named_metrics "q" of 3.
        let maps = b"\x2a\x0c\x0a\x01d\x11\0\0\0\0\0\0\xe0\x3f\x42\x0c\x0a\x01q\x11\0\0\0\0\0\0\x08\x40";
        let maps = LoadReport::read(maps).expect("a report");
        let of = |application, cpu, mem, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| MetricName::of(name).expect("a name")).collect();
            let report =
                LoadReport { application_utilization: application, cpu_utilization: cpu, mem_utilization: mem, ..maps };
            utilization(&report, &names)
        };
        assert_eq!(of(0.7, 0.4, 0.9, &[]), 0.7);
        assert_eq!(of(0.0, 0.4, 0.9, &[]), 0.4);
        assert_eq!(of(-1.0, 0.4, 0.9, &[]), 0.4);
        assert_eq!(of(f64::NAN, 0.4, 0.9, &[]), 0.4);
        assert_eq!(of(1.7, 0.4, 0.9, &[]), 1.7, "more than all there is");
        assert_eq!(of(0.7, 0.4, 0.9, &["cpu_utilization", "mem_utilization"]), 0.9);
        assert_eq!(of(0.7, 0.4, 0.9, &["cpu_utilization", "utilization.d"]), 0.5);
        assert_eq!(of(0.7, 0.4, 0.9, &["named_metrics.q", "mem_utilization"]), 3.0);
        assert_eq!(
            of(0.7, 0.4, 0.0, &["mem_utilization", "named_metrics.other", "utilization.q"]),
            0.7,
            "none of them"
        );
        assert_eq!(of(0.7, 0.4, f64::NAN, &["mem_utilization", "cpu_utilization"]), 0.4);
    }
}
