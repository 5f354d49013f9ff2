use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

const CHEAP: Cost = Cost::new(4, 8, 1).unwrap();

// Made by passlib 1.7.4 and OpenSSL, for "correct horse battery staple".
const SCRYPT_TODAY: &str = "$scrypt$ln=14,r=8,p=5$MDEyMzQ1Njc4OWFiY2RlZg$yMHgG/FDESRF0j5gjhGLotSMPdnfefUcNNFPyNoQtJE";
const SCRYPT_LARGEST: &str = "$scrypt$ln=17,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6FprYHTFsXknvwZ92YQBgBBStM5YQLYkqgAq+B0yKwM";
const SCRYPT_CHEAP: &str = "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0Pz6RuN9WCY6OfE3FYH5Myx0JqvNjul84VbFyWLBf4g";
const SCRYPT_OTHER: &str = "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$7AnzIswxwEinpwz+ntydndYfVHPvOACmX9Vvo8hO1qM";
// Made by the Python package bcrypt 5.0.0.
const BCRYPT_2B: &str = "$2b$12$qcdzWi6Wi1tSAPDeh1MUi.rakywnbOUybUMNx9jKAIpMWpFwmueIO";
const BCRYPT_2A: &str = "$2a$12$jc1nbL8anLR/H.WtRstY/.ggrqPU/fFWCZ66uLBqxqoNj60eJ4iXq";
const STAPLE: &str = "correct horse battery staple";
const BCRYPT_2Y: (&str, &str) = ("$2y$04$IsR7F1D9UrJ2LIZt37VzbO2MVTiqEpuxoYy2vMSDip4F9YzatigBu", "y-version");
const BCRYPT_AB: (&str, &str) = ("$2b$04$arlnUWBzb9UqakLeaNC31e/ZLs5VgfYFp1ypMZBvnnJ9f1LQr2kou", "ab");
const BCRYPT_EMPTY: (&str, &str) = ("$2b$04$Denz/KBzlrJE0pGQzhDW2.5GdNXIeux/8zmlhMl/LhpW90PMBTEli", "");
const BCRYPT_UNICODE: (&str, &str) = ("$2b$04$0vuu04CFjBrzyfcf4PV5TO4pUbBod4kM6bIi1dS3cqTjOVbeIcQw2", "pâté de crêpe");
// Of 72 times x.
const BCRYPT_72: &str = "$2b$04$JmjOET.fIP7y3RB4IC.ieefdqQMsnlAWl.KlViS8DN0wn/f.Y17I6";

#[derive(Default)]
struct Recorder {
    work: Mutex<Vec<Work>>,
    refused: Mutex<Vec<Cause>>,
}

impl Recorder {
    fn take(&self) -> Vec<Work> {
        std::mem::take(&mut self.work.lock().unwrap())
    }
}

impl Observer for Recorder {
    fn hashed(&self, work: Work, _took: Duration) {
        self.work.lock().unwrap().push(work);
    }

    fn refused(&self, cause: Cause) {
        self.refused.lock().unwrap().push(cause);
    }
}

fn number(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn settings() -> Passwords {
    Passwords { rehash_legacy: true, slots: Some(number(1)), queue: number(1), deadline: Duration::from_mins(1) }
}

const PLENTY: Resources = Resources { cores: NonZeroUsize::MIN, memory: None };

fn start(settings: &Passwords, cost: Cost, resources: &Resources) -> (Hasher, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let observer: Arc<dyn Observer> = recorder.clone();
    (Hasher::start(settings, cost, resources, observer).unwrap(), recorder)
}

fn hasher() -> (Hasher, Arc<Recorder>) {
    start(&settings(), CHEAP, &PLENTY)
}

async fn matches(hasher: &Hasher, password: &str, stored: &str) -> bool {
    match hasher.verify(&Password::new(password), Some(&PasswordHash::new(stored)), &Begun::default()).await.unwrap() {
        Outcome::Match { .. } => true,
        Outcome::Mismatch => false,
        Outcome::Unusable(reason) => panic!("{stored}: {reason}"),
    }
}

async fn hashed(hasher: &Hasher, password: &str) -> String {
    hasher.hash(&Password::new(password), &Begun::default()).await.unwrap().expose_hash().to_owned()
}

async fn renewal(hasher: &Hasher, password: &str, stored: &str) -> Option<String> {
    match hasher.verify(&Password::new(password), Some(&PasswordHash::new(stored)), &Begun::default()).await.unwrap() {
        Outcome::Match { renewal } => renewal.map(|hash| hash.expose_hash().to_owned()),
        other => panic!("{stored}: {other:?}"),
    }
}

#[tokio::test]
async fn hashes_made_elsewhere_match_their_password_and_no_other() {
    let (hasher, _) = hasher();
    for (stored, password) in [
        (SCRYPT_TODAY, STAPLE),
        (SCRYPT_LARGEST, STAPLE),
        (SCRYPT_CHEAP, STAPLE),
        (SCRYPT_OTHER, STAPLE),
        (BCRYPT_2B, STAPLE),
        (BCRYPT_2A, STAPLE),
        BCRYPT_2Y,
        BCRYPT_AB,
        BCRYPT_EMPTY,
        BCRYPT_UNICODE,
    ] {
        assert!(matches(&hasher, password, stored).await, "{stored}");
        assert!(!matches(&hasher, &format!("{password}!"), stored).await, "{stored}");
    }
}

#[tokio::test]
async fn a_new_hash_is_a_phc_string_with_its_own_salt_that_matches_and_needs_no_renewal() {
    let (hasher, _) = hasher();
    let password = Password::new("a".repeat(256));
    let (one, other) = (hashed(&hasher, password.expose()).await, hashed(&hasher, password.expose()).await);

    assert_ne!(one, other);
    let fields: Vec<&str> = one.split('$').collect();
    assert_eq!(fields[..3], ["", "scrypt", "ln=4,r=8,p=1"]);
    assert_eq!((fields.len(), fields[3].len(), fields[4].len()), (5, 22, 43));
    assert!(one.len() <= 255);
    assert_eq!(renewal(&hasher, password.expose(), &one).await, None);
    assert!(!matches(&hasher, "another", &one).await);
}

#[tokio::test]
async fn a_new_hash_of_production_is_as_strong_as_owasp_asks() {
    let (hasher, recorder) = start(&settings(), Cost::OWASP, &PLENTY);
    let hash = hashed(&hasher, STAPLE).await;
    assert!(hash.starts_with("$scrypt$ln=14,r=8,p=5$"), "{hash}");
    assert_eq!(recorder.take(), [Work::Scrypt(Cost::OWASP)]);
    assert_eq!(renewal(&hasher, STAPLE, SCRYPT_TODAY).await, None);
}

#[tokio::test]
async fn bcrypt_reads_seventy_two_bytes_and_no_more() {
    let (hasher, _) = hasher();
    assert!(matches(&hasher, &"x".repeat(72), BCRYPT_72).await);
    assert!(matches(&hasher, &format!("{}and more", "x".repeat(72)), BCRYPT_72).await);
    assert!(!matches(&hasher, &"x".repeat(71), BCRYPT_72).await);
    assert!(!matches(&hasher, &format!("{}y", "x".repeat(71)), BCRYPT_72).await);
}

#[tokio::test]
async fn a_password_with_nul_is_never_what_bcrypt_hashed_and_costs_the_same() {
    let (hasher, recorder) = hasher();
    for password in ["ab\0", "ab\0ab", "\0ab", "ab\0other"] {
        assert!(!matches(&hasher, password, BCRYPT_AB.0).await, "{password:?}");
        assert_eq!(recorder.take(), [Work::Bcrypt(4)]);
    }
    assert!(!matches(&hasher, "\0", BCRYPT_EMPTY.0).await);
}

#[tokio::test]
async fn scrypt_takes_any_password_but_for_closing_nuls() {
    let (hasher, _) = hasher();
    for password in ["", "ab\0ab", "日本語のパスワード", &"long ".repeat(10_000)] {
        let hash = hashed(&hasher, password).await;
        assert!(matches(&hasher, password, &hash).await);
        assert!(!matches(&hasher, &format!("{password}!"), &hash).await);
        assert!(!matches(&hasher, &format!("{password}\0"), &hash).await);
    }
}

#[tokio::test]
async fn hashes_whose_last_characters_carry_unused_bits_still_match() {
    let (hasher, _) = hasher();
    let sloppy = BCRYPT_AB.0.replacen("31e/", "31f/", 1);
    assert_ne!(sloppy, BCRYPT_AB.0);
    assert!(matches(&hasher, "ab", &sloppy).await);
}

#[tokio::test]
async fn an_unknown_user_costs_exactly_one_hash_of_todays_cost() {
    let (hasher, recorder) = hasher();
    assert_eq!(hasher.verify(&Password::new(STAPLE), None, &Begun::default()).await, Ok(Outcome::Mismatch));
    assert_eq!(recorder.take(), [Work::Scrypt(CHEAP)]);
    assert!(!matches(&hasher, "wrong", SCRYPT_CHEAP).await);
    assert_eq!(recorder.take(), [Work::Scrypt(CHEAP)], "a known user costs the same");
}

#[tokio::test]
async fn an_old_hash_is_renewed_in_the_turn_that_verified_it() {
    let (hasher, recorder) = hasher();
    for (stored, own) in [(BCRYPT_2B, Work::Bcrypt(12)), (SCRYPT_OTHER, Work::Scrypt(Cost::new(10, 8, 1).unwrap()))] {
        let renewed = renewal(&hasher, STAPLE, stored).await.expect(stored);
        assert_eq!(recorder.take(), [own, Work::Scrypt(CHEAP)]);
        assert!(renewed.starts_with("$scrypt$ln=4,r=8,p=1$"));
        assert_eq!(renewal(&hasher, STAPLE, &renewed).await, None);
        recorder.take();
    }
    assert!(!matches(&hasher, "wrong", BCRYPT_2B).await);
    assert_eq!(recorder.take(), [Work::Bcrypt(12)], "a wrong password renews nothing");
}

#[tokio::test]
async fn a_hash_of_todays_cost_but_shorter_is_renewed() {
    let (hasher, _) = hasher();
    // 16 bytes of the 32.
    let shorter = "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0Pz6RuN9WCY6OfE3FYH5Mw";
    assert!(renewal(&hasher, STAPLE, shorter).await.is_some());
    assert_eq!(renewal(&hasher, STAPLE, SCRYPT_CHEAP).await, None);
}

#[tokio::test]
async fn bcrypt_stays_where_the_way_back_is_kept_open() {
    let (hasher, recorder) = start(&Passwords { rehash_legacy: false, ..settings() }, CHEAP, &PLENTY);
    assert_eq!(renewal(&hasher, BCRYPT_AB.1, BCRYPT_AB.0).await, None);
    assert_eq!(recorder.take(), [Work::Bcrypt(4)]);
    assert!(renewal(&hasher, STAPLE, SCRYPT_OTHER).await.is_some(), "scrypt is not legacy");
}

#[tokio::test]
async fn an_unusable_hash_says_why_and_costs_as_much_as_an_unknown_user() {
    let (hasher, recorder) = hasher();
    let rest = "$MDEyMzQ1Njc4OWFiY2RlZg$0Pz6RuN9WCY6OfE3FYH5Myx0JqvNjul84VbFyWLBf4g";
    let bcrypt = &BCRYPT_AB.0[6..];
    for (stored, reason) in [
        (String::new(), Unusable::UnknownFormat),
        ("!".into(), Unusable::UnknownFormat),
        ("plain text".into(), Unusable::UnknownFormat),
        ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b27".into(), Unusable::UnknownFormat),
        (format!("$2x$04{bcrypt}"), Unusable::UnknownFormat),
        (format!(" {SCRYPT_CHEAP}"), Unusable::UnknownFormat),
        ("$scrypt$".into(), Unusable::Malformed),
        (format!("$scrypt$ln=4,r=8{rest}"), Unusable::Malformed),
        (format!("$scrypt$ln=4,p=1,r=8{rest}"), Unusable::Malformed),
        (format!("$scrypt$ln=4,r=8,p=1,p=1{rest}"), Unusable::Malformed),
        (format!("$scrypt$ln=+4,r=8,p=1{rest}"), Unusable::Malformed),
        (format!("$scrypt$ln=4,r=-8,p=1{rest}"), Unusable::Malformed),
        (format!("{SCRYPT_CHEAP}$"), Unusable::Malformed),
        ("$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$".into(), Unusable::Malformed),
        ("$scrypt$ln=4,r=8,p=1$$0Pz6RuN9WCY6OfE3FYH5Myx0JqvNjul84VbFyWLBf4g".into(), Unusable::Malformed),
        ("$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$0Pz6".into(), Unusable::Malformed),
        ("$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$not base64".into(), Unusable::Malformed),
        (format!("$scrypt$ln=18,r=8,p=1{rest}"), Unusable::TooDear),
        (format!("$scrypt$ln=0,r=8,p=1{rest}"), Unusable::TooDear),
        (format!("$scrypt$ln=63,r=8,p=1{rest}"), Unusable::TooDear),
        (format!("$scrypt$ln=300,r=8,p=1{rest}"), Unusable::TooDear),
        (format!("$scrypt$ln=14,r=9,p=1{rest}"), Unusable::TooDear),
        (format!("$scrypt$ln=14,r=8,p=11{rest}"), Unusable::TooDear),
        (format!("$scrypt$ln=4,r=65536,p=65536{rest}"), Unusable::TooDear),
        (format!("$scrypt$ln=4,r=8,p=99999999999999999999{rest}"), Unusable::TooDear),
        (format!("$2b$16{bcrypt}"), Unusable::TooDear),
        (format!("$2b$31{bcrypt}"), Unusable::TooDear),
        (format!("$2b$99{bcrypt}"), Unusable::TooDear),
        (format!("$2b$03{bcrypt}"), Unusable::Malformed),
        (format!("$2b$+4{bcrypt}"), Unusable::Malformed),
        ("$2b$04$tooshort".into(), Unusable::Malformed),
        (format!("{}é", &BCRYPT_AB.0[..58]), Unusable::Malformed),
        (format!("{}x", BCRYPT_AB.0), Unusable::Malformed),
    ] {
        let outcome =
            hasher.verify(&Password::new(STAPLE), Some(&PasswordHash::new(stored.as_str())), &Begun::default()).await;
        assert_eq!(outcome, Ok(Outcome::Unusable(reason)), "{stored}");
        assert_eq!(recorder.take(), [Work::Scrypt(CHEAP)], "{stored}");
    }
}

#[tokio::test]
async fn a_hash_larger_than_a_slot_is_not_computed() {
    let small = Resources { cores: NonZeroUsize::MIN, memory: Some(128 << 20) };
    let (hasher, recorder) = start(&Passwords { slots: Some(number(2)), ..settings() }, CHEAP, &small);
    let outcome = hasher
        .verify(&Password::new(STAPLE), Some(&PasswordHash::new(SCRYPT_LARGEST)), &Begun::default())
        .await
        .unwrap();
    let Outcome::Unusable(reason) = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason.to_string(), "the stored hash needs 128 MiB, a hash slot has 32 MiB");
    assert_eq!(recorder.take(), [Work::Scrypt(CHEAP)]);
    assert!(matches(&hasher, STAPLE, SCRYPT_TODAY).await, "what fits is computed");
}

#[test]
fn slots_are_as_set_and_otherwise_as_computed() {
    let resources = Resources { cores: number(3), memory: None };
    assert_eq!(start(&settings(), CHEAP, &resources).0.slots(), number(1));
    assert_eq!(start(&Passwords { slots: None, ..settings() }, CHEAP, &resources).0.slots(), number(3));
}

#[tokio::test]
async fn without_a_slot_in_time_hashing_and_verifying_are_refused_and_nothing_is_computed() {
    let settings = Passwords { deadline: Duration::from_millis(10), ..settings() };
    let (hasher, recorder) = start(&settings, CHEAP, &PLENTY);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let occupied = hasher.pool.turn_within(Duration::from_mins(1), move || {
        started.send(()).unwrap();
        let _ = released.recv();
    });
    let refused = async {
        has_started.await.unwrap();
        let password = Password::new(STAPLE);
        let verified =
            hasher.verify(&password, Some(&PasswordHash::new(SCRYPT_CHEAP)), &Begun::default()).await.unwrap_err();
        let new_hash = hasher.hash(&password, &Begun::default()).await.unwrap_err();
        drop(release);
        [verified, new_hash]
    };
    let (finished, refused) = tokio::join!(occupied, refused);
    finished.unwrap();
    for busy in refused {
        assert_eq!(busy.cause, Cause::Deadline);
        assert!((1..=30).contains(&busy.retry_after.as_secs()));
    }
    assert_eq!(*recorder.refused.lock().unwrap(), [Cause::Deadline, Cause::Deadline]);
    assert!(recorder.take().is_empty());
}

/// The smallest desk: no stored hash may cost the test much.
fn desk() -> Desk {
    Desk { cost: Cost::new(1, 1, 1).unwrap(), memory_a_hash: 1 << 16, renew_legacy: true, observer: Arc::new(()) }
}

fn verify(password: &str, stored: &str) -> Outcome {
    let desk = desk();
    let stored = Stored::parse(stored, desk.memory_a_hash);
    desk.verify(password.as_bytes(), stored.map(Some))
}

fn is_match(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Match { .. })
}

proptest! {
    #[test]
    fn no_stored_text_makes_verification_panic(stored in any::<String>(), password in any::<String>()) {
        prop_assert!(!is_match(&verify(&password, &stored)));
    }

    #[test]
    fn no_text_that_resembles_scrypt_makes_verification_panic(
        stored in r"\$scrypt\$(ln=[0-9]{1,3},r=[0-9]{1,10},p=[0-9]{1,10}|[lnrp=,0-9]{0,20})\$[A-Za-z0-9+/]{0,70}\$[A-Za-z0-9+/=]{0,90}",
        password in any::<String>(),
    ) {
        prop_assert!(!is_match(&verify(&password, &stored)));
    }

    // Without the costs 07 to 15, which are allowed and slow.
    #[test]
    fn no_text_that_resembles_bcrypt_makes_verification_panic(
        stored in r"\$2[abxy]\$(0[0-6]|1[6-9]|[2-9][0-9])\$([./A-Za-z0-9]{53}|[./A-Za-z0-9é]{50,54})",
        password in any::<String>(),
    ) {
        prop_assert!(!is_match(&verify(&password, &stored)));
    }

    #[test]
    fn any_password_matches_its_own_hash_and_not_its_neighbours(password in any::<String>(), other in any::<String>()) {
        prop_assume!(!password.ends_with('\0'));
        let desk = desk();
        let hash = desk.hash(password.as_bytes()).unwrap();
        prop_assert_eq!(verify(&password, &hash), Outcome::Match { renewal: None });
        if other != password {
            prop_assert_eq!(verify(&other, &hash), Outcome::Mismatch);
        }
    }
}
