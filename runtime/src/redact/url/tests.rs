use super::*;

#[test]
fn common_names_of_secrets_are_redacted() {
    for name in [
        "token",
        "access_token",
        "refresh_token",
        "id_token",
        "password",
        "passwd",
        "pwd",
        "secret",
        "client_secret",
        "api_key",
        "apikey",
        "api-key",
        "apiKey",
        "key",
        "code",
        "sig",
        "SIG",
        "Sig",
        "signature",
        "Signature",
        "X-Amz-Signature",
        "x-amz-signature",
        "X-Amz-Security-Token",
        "X-Amz-Credential",
        "X-Goog-Signature",
        "X-Goog-Credential",
        "AWSAccessKeyId",
        "session",
        "session_id",
        "sessionid",
        "PHPSESSID",
        "auth",
        "Authorization",
        "jwt",
        "assertion",
        "client_assertion",
        "SAMLResponse",
        "otp",
        "csrf_token",
        "password2",
        "new_password",
        "user[password]",
        "token[]",
        "user.password",
        "token.id",
        "password[0]",
        "code_verifier",
        "%74oken",
        "%2574oken",
        "to%6ben",
        "TOKEN",
        "tok%00en",
        "+token",
        "token%20",
        "%25252525252525252574oken",
        "id_token_hint",
        "oauth_verifier",
        "/callback?code",
        "/callback%3Fcode",
        "#code",
    ] {
        let shown = UrlRules::DEFAULT.query(&format!("page=2&{name}=hunter2&q=a")).into_owned();
        assert_eq!(shown, format!("page=2&{name}=REDACTED&q=a"));
        let shown = UrlRules::DEFAULT.query(&format!("page=2;{name}=hunter2;q=a")).into_owned();
        assert_eq!(shown, format!("page=2;{name}=REDACTED;q=a"));
    }
}

#[test]
fn other_parameters_are_unchanged() {
    for query in [
        "",
        "q=a&page=2",
        "tokens=1&keys=2&codes=3",
        "zip_code=1&country_code=de&barcode=2",
        "sort_key=a",
        "state=open",
        "monkey=1&keyboard=2&keyword=x",
        "sig&token",
        "token=&page=1",
        "author=ada",
        "passenger=2",
        "design=1&assigned=bob",
        "at=12:30&on=a@b.example",
        "next=%2Fhome%3Fpage%3D2",
        "&&;;=",
        "a=%zz&%=1",
        "%",
        "q=%F0%9F%98%80",
        "q={\"name\":\"x\"}",
        "sort=token:asc",
        "sort=token :asc",
        "next=/a?token=",
        "next=%2Fa%3Ftoken%3D%26b%3D1",
        "next=%2Fa%3Ftoken%3D%3Bb%3D1",
    ] {
        assert!(matches!(UrlRules::DEFAULT.query(query), Cow::Borrowed(same) if same == query), "{query}");
    }
}

#[cfg(feature = "integration")]
#[test]
fn added_names_are_recognized_wherever_common_ones_are() {
    let mut rules = UrlRules::DEFAULT;
    rules.hide("tax-id");
    for name in ["tax-id", "TaxID", "user[tax_id]", "tax_id[]", "user.taxId", "#/cb?tax_id", "%74ax_id"] {
        assert_eq!(rules.query(&format!("a=1&{name}=7")), format!("a=1&{name}=REDACTED"));
    }
    assert_eq!(rules.url("https://h/#/cb?tax_id=7"), "https://h/#/cb?tax_id=REDACTED");
    assert_eq!(rules.query("tax_ids=7&tax=1&id=2"), "tax_ids=7&tax=1&id=2");
    // What is hidden takes precedence over what is shown.
    rules.show("user[tax_id]");
    rules.show("user[password]");
    assert_eq!(rules.query("user[tax_id]=7&user[password]=x"), "user[tax_id]=REDACTED&user[password]=x");
}

#[test]
fn nested_and_encoded_secrets_are_redacted() {
    let shown = |query| UrlRules::DEFAULT.query(query).into_owned();
    assert_eq!(shown("sig=a=b&sig=c"), "sig=REDACTED&sig=REDACTED");
    assert_eq!(shown("token=hun;ter2&a=1"), "token=REDACTED;REDACTED&a=1");
    assert_eq!(shown("token=hunter2;&a=1"), "token=REDACTED;&a=1");
    assert_eq!(shown("code=1&state=2"), "code=REDACTED&state=REDACTED");
    assert_eq!(shown("client_id=1&state=2"), "client_id=1&state=REDACTED");
    assert_eq!(shown("client_id=1;state=2"), "client_id=1;state=REDACTED");
    assert_eq!(shown("state=2&client_id=1"), "state=REDACTED&client_id=1");
    assert_eq!(shown("state=2;client_id=1"), "state=REDACTED;client_id=1");
    // A value or a name may contain another query.
    for packed in [
        "next=/cb?token=hunter2",
        "next=%2Fcb%3Ftoken%3Dhunter2",
        "next=%252Fcb%253Ftoken%253Dhunter2",
        "next=https%3A%2F%2Fada%3Ahunter2%40example.com",
        "a=1%26token=hunter2",
        "a=x#token=hunter2",
        "next=%25252525252Fcb",
        "filter={\"password\":\"hunter2\"}",
        "filter={\"password\" : \"hunter2\"}",
        "filter={'password' : 'hunter2'}",
        "filter=%7B%22password%22%3A+%22hunter2%22%7D",
    ] {
        let shown = shown(packed);
        assert!(shown.ends_with("=REDACTED"), "{shown}");
    }
    assert_eq!(shown("token%3Dhunter2"), "REDACTED");
    assert_eq!(shown("token%3Dhunter2=1"), "REDACTED");
}

#[test]
fn path_parameters_are_redacted() {
    let shown = |path| UrlRules::DEFAULT.path(path).into_owned();
    assert_eq!(shown("/orders/1001"), "/orders/1001");
    assert_eq!(shown("/orders;jsessionid=1;a=2/1001;token=x"), "/orders;jsessionid=REDACTED;a=2/1001;token=REDACTED");
    assert_eq!(shown("/orders%3Btoken%3Dx/1"), "/REDACTED/1");
    assert_eq!(
        shown("/to/http://ada:pw@example.com/x;sig=1"),
        "/to/http://REDACTED:REDACTED@example.com/x;sig=REDACTED"
    );
    // There is no user information after the last `@`, but there may be parameters.
    assert_eq!(
        shown("/to/http://ada:pw@h/to/http://h;sig=1/@me/http://h;sig=2"),
        "/to/http://REDACTED:REDACTED@h/to/http://h;sig=REDACTED/@me/http://h;sig=REDACTED"
    );
    assert_eq!(shown("/key/code/token"), "/key/code/token");
}

#[test]
fn credentials_in_a_url_are_redacted() {
    let shown = |url| UrlRules::DEFAULT.url(url);
    for url in [
        "https://example.com:8443/a?b=c#d",
        "/a?b",
        "http://[::1]:80/",
        "http://[::1]",
        "a:b",
        "http://h/@me",
        "http://h:8080/@me",
        "//h/@me",
    ] {
        assert_eq!(shown(url), url);
    }
    assert_eq!(shown("https://ada:secret@example.com/a"), "https://REDACTED:REDACTED@example.com/a");
    assert_eq!(shown("https://ada@example.com"), "https://REDACTED@example.com");
    assert_eq!(shown("https://a:b@c@example.com/?sig=1"), "https://REDACTED:REDACTED@example.com/?sig=REDACTED");
    assert_eq!(shown("redis://:pa#s/s?@h:6379/0"), "redis://REDACTED:REDACTED@h:6379/0");
    assert_eq!(shown("redis://ada:/pa#s@h:6379/0"), "redis://REDACTED:REDACTED@h:6379/0");
    // Digits before the character that should have been percent-encoded are no port.
    assert_eq!(shown("redis://:12#34@h:6379/0"), "redis://REDACTED:REDACTED@h:6379/0");
    assert_eq!(shown("postgres://ada:123456/7@h/db"), "postgres://REDACTED:REDACTED@h/db");
    assert_eq!(shown("postgres://ada:+1/7@h/db"), "postgres://REDACTED:REDACTED@h/db");
    assert_eq!(shown("https://h/cb#access_token=x&expires_in=3"), "https://h/cb#access_token=REDACTED&expires_in=3");
    assert_eq!(shown("/cb?next=http://a:b@h/"), "/cb?next=REDACTED");
    assert_eq!(shown("/cb#next=http://a:b@h/"), "/cb#next=REDACTED");
    assert_eq!(shown("https://h/#/cb?code=x&page=2"), "https://h/#/cb?code=REDACTED&page=2");
    assert_eq!(shown("//ada:secret@h/a?sig=x"), "//REDACTED:REDACTED@h/a?sig=REDACTED");
    assert_eq!(shown("//h/to/http://a:b@c/"), "//h/to/http://REDACTED:REDACTED@c/");
}

#[test]
fn urls_in_a_text_are_redacted() {
    let shown = |text: &str| UrlRules::DEFAULT.text(text).into_owned();
    for text in ["out of stock", "why? because", "see https://example.com/a.", "a\n\u{1f600} b?"] {
        assert_eq!(shown(text), text);
    }
    assert_eq!(
        shown("error sending request for url (http://ada:pw@h/a?token=x): refused"),
        "error sending request for url (http://REDACTED:REDACTED@h/a?token=REDACTED): refused"
    );
    assert_eq!(
        shown("GET /login?token=x failed, \"http://h?sig=y\""),
        "GET /login?token=REDACTED failed, \"http://h?sig=REDACTED\""
    );
    assert_eq!(shown("postgres://u:p@db/x"), "postgres://REDACTED:REDACTED@db/x");
    // JSON may escape slashes and ampersands, and may itself be in a JSON string.
    let json = r#"{"url":"http:\/\/ada:pw@h\/a?b=1\u0026sig\u003dx","path":"a\/b"}"#;
    let redacted = r#"{"url":"http://REDACTED:REDACTED@h/a?b=1&sig=REDACTED","path":"a\/b"}"#;
    assert_eq!(shown(json), redacted);
    assert_eq!(shown(r#"{"url":"redis:\/\/:pw@h:6379"}"#), r#"{"url":"redis://REDACTED:REDACTED@h:6379"}"#);
    let packed = shown(&format!("cannot place the order: {json:?}"));
    assert!(!packed.contains("pw") && packed.contains(r"sig\=REDACTED"), "{packed}");
    for text in [r"no \d+ in http:\/\/h\/a\n", r"C:\orders\?"] {
        assert_eq!(shown(text), text);
    }
}

/// Callers choose the URL, up to the length that the server accepts. Redaction takes time in proportion to its length,
/// and constant stack space.
#[test]
fn a_long_url_takes_no_longer_than_many_short_ones() {
    const LENGTH: usize = 1 << 16;
    for part in ["state=1&", "state=1;", "://", "a://b:c/", "/to/http://a:b@c/", "a=b:c@d?", "%25"] {
        let long = part.repeat(LENGTH / part.len());
        let shown = UrlRules::DEFAULT.path(&long);
        assert!(!shown.contains("a:b@"), "{part}");
        assert!(!shown.is_empty() && !UrlRules::DEFAULT.query(&long).is_empty());
        assert!(UrlRules::DEFAULT.url(&format!("http://h/?{long}")).starts_with("http://h/?"));
    }
}
