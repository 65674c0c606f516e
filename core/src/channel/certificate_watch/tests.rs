use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::runtime::simulated::{Side, SimulatedDriver};
use crate::transport::tls::TlsOptions;
use crate::transport::tls::source::tests::{Folder, pair};

const INTERVAL: Duration = Duration::from_secs(5);

/// A watch of some files, in virtual time, and a channel that is told.
struct Scene {
    driver: SimulatedDriver,
    source: Arc<Source>,
    watches: Watches<<SimulatedDriver as Driver>::Task>,
    mailbox: Rc<Mailbox>,
}

impl Scene {
    fn run<F: Future<Output = ()> + 'static>(options: &TlsOptions, story: impl FnOnce(Self) -> F) {
        let source = Arc::new(Source::new(options).expect("good files"));
        SimulatedDriver::run(1, |driver| {
            let driver = driver.on(Side::Engine);
            story(Self { driver, source, watches: Watches::default(), mailbox: Rc::default() })
        })
        .expect("it ends");
    }

    fn visit(&self) -> Visit<<SimulatedDriver as Driver>::Task> {
        self.watches.visit(&self.driver, &self.source, Some(INTERVAL), &self.mailbox)
    }

    async fn pass(&self, length: Duration) {
        self.driver.sleep(length).await;
    }

    fn news(&self) -> Vec<String> {
        std::iter::from_fn(|| self.mailbox.take())
            .map(|mail| match mail {
                Mail::Certificates(CertificateNews::Replaced { words, .. }) => words,
                Mail::Certificates(CertificateNews::Refused { words }) => words,
                _ => panic!("nothing else is told"),
            })
            .collect()
    }
}

#[test]
fn what_is_in_the_files_is_in_use_an_interval_later() {
    let folder = Folder::new();
    folder.write_pair(&pair("first"));
    Scene::run(&folder.options(), |scene| async move {
        let _visit = scene.visit();
        scene.pass(INTERVAL * 3).await;
        assert_eq!(scene.news(), [""; 0]);
        folder.write_pair(&pair("second"));
        scene.pass(INTERVAL + SETTLE * 2).await;
        let news = scene.news();
        assert_eq!(news.len(), 1, "{news:?}");
        assert!(news[0].starts_with("the TLS files were read again; the client's certificate expires in "), "{news:?}");
        assert_eq!(scene.source.material().version, 2);
    });
}

#[test]
fn whoever_connects_has_what_is_in_the_files_now() {
    let folder = Folder::new();
    folder.write_pair(&pair("first"));
    Scene::run(&folder.options(), |scene| async move {
        let visit = scene.visit();
        folder.write_pair(&pair("second"));
        visit.watch().looked(&scene.driver).await;
        assert_eq!(scene.source.material().version, 2);
        assert!(scene.driver.now().since_start() < INTERVAL);
        let before = scene.driver.now();
        visit.watch().looked(&scene.driver).await;
        assert!(scene.driver.now().since(before) < SETTLE, "what has not changed is not looked at twice");
    });
}

#[test]
fn what_is_being_written_is_not_taken() {
    let folder = Folder::new();
    let (first, second) = (pair("first"), pair("second"));
    folder.write_pair(&first);
    Scene::run(&folder.options(), |scene| async move {
        let _visit = scene.visit();
        // The file grows between the two looks, and the next two.
        folder.write("tls.crt", &second.0[..10]);
        scene.pass(INTERVAL + SETTLE / 2).await;
        folder.write("tls.crt", &second.0[..20]);
        scene.pass(SETTLE).await;
        folder.write_pair(&second);
        scene.pass(SETTLE * 4).await;
        let news = scene.news();
        assert_eq!(news.len(), 1, "{news:?}");
        assert!(news[0].starts_with("the TLS files were read again"), "{news:?}");
    });
}

#[test]
fn what_cannot_be_used_is_told_once_for_each_cause_and_what_was_before_stays() {
    let folder = Folder::new();
    let (first, second) = (pair("first"), pair("second"));
    folder.write_pair(&first);
    Scene::run(&folder.options(), |scene| async move {
        let _visit = scene.visit();
        folder.write("tls.crt", "broken");
        scene.pass(INTERVAL * 5).await;
        folder.write("tls.crt", "broken in another way");
        scene.pass(INTERVAL * 5).await;
        let news = scene.news();
        assert_eq!(news.len(), 1, "{news:?}");
        let told = "the TLS files cannot be used, so what was read before stays in use: certificate chain in ";
        assert!(news[0].starts_with(told) && news[0].contains("no certificate found"), "{news:?}");
        folder.write("tls.crt", &second.0);
        scene.pass(INTERVAL * 5).await;
        let news = scene.news();
        assert_eq!(news.len(), 1, "{news:?}");
        assert!(news[0].ends_with("the key is not the certificate's"), "{news:?}");
        assert_eq!(scene.source.material().version, 1);
        folder.write("tls.crt", &first.0);
        scene.pass(INTERVAL * 2).await;
        assert_eq!(scene.news(), [""; 0], "it is what is in use");
        folder.write("tls.crt", "broken");
        scene.pass(INTERVAL * 2).await;
        assert_eq!(scene.news().len(), 1, "it is broken anew");
    });
}

/// As Kubernetes does it: the files are links into a folder, which is a link that is swapped.
#[test]
fn links_that_are_swapped_are_followed() {
    let folder = Folder::new();
    let version = |name: &str, (certificate, key): (String, String)| {
        fs::create_dir(folder.path(name)).expect("a folder");
        folder.write(&format!("{name}/tls.crt"), certificate);
        folder.write(&format!("{name}/tls.key"), key);
    };
    version("..1", pair("first"));
    version("..2", pair("second"));
    symlink("..1", folder.path("..data")).expect("a link");
    symlink("..data/tls.crt", folder.path("tls.crt")).expect("a link");
    symlink("..data/tls.key", folder.path("tls.key")).expect("a link");
    Scene::run(&folder.options(), |scene| async move {
        let _visit = scene.visit();
        symlink("..2", folder.path("..data_tmp")).expect("a link");
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).expect("swapped");
        fs::remove_dir_all(folder.path("..1")).expect("the old one goes");
        scene.pass(INTERVAL * 2).await;
        assert_eq!(scene.source.material().version, 2);
        assert_eq!(scene.news().len(), 1);
    });
}

#[test]
fn channels_with_the_same_credentials_share_a_watch_and_nobody_watches_for_nobody() {
    let folder = Folder::new();
    folder.write_pair(&pair("first"));
    Scene::run(&folder.options(), |scene| async move {
        let visits = [scene.visit(), scene.visit(), scene.visit()];
        scene.pass(INTERVAL).await;
        assert_eq!(scene.driver.alive(Side::Engine).tasks(), 1);
        folder.write_pair(&pair("second"));
        scene.pass(INTERVAL * 2).await;
        assert_eq!(scene.news().len(), 3, "each channel is told");
        drop(visits);
        scene.pass(INTERVAL).await;
        assert_eq!(scene.driver.alive(Side::Engine).tasks(), 0);
        folder.write_pair(&pair("third"));
        scene.pass(INTERVAL * 2).await;
        assert_eq!(scene.source.material().version, 2);
        let _visit = scene.visit();
        scene.pass(INTERVAL * 2).await;
        assert_eq!(scene.source.material().version, 3);
    });
}
