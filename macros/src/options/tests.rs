use super::*;

/// The options of a method in an annotated block, whose tags in `#[biz_tags]` are `scoped`.
fn method(options: &str, block: &str, scoped: &str, may_fail: bool) -> Options {
    let report = Report::default();
    let scoped = parse(Attr::Traced, format!("tags({scoped})").parse().unwrap(), &Report::default());
    let scoped = scoped.tags.map(|tags| tags.value).unwrap_or_default();
    let mut options = parse(Attr::Traced, format!("__block({block}), {options}").parse().unwrap(), &report);
    options.adopt(None, &scoped, may_fail);
    assert!(report.is_empty(), "{}", report.into_tokens());
    options
}

fn shown(options: &Options) -> String {
    let mut parts = Vec::new();
    parts.extend(options.kind.as_ref().map(|kind| kind.value.to_owned()));
    parts.extend(options.err.as_ref().map(|err| match err.value {
        ErrMode::Off => "off".to_owned(),
        ErrMode::Display => "display".to_owned(),
        ErrMode::Debug => "debug".to_owned(),
        ErrMode::Log => "log".to_owned(),
    }));
    parts.extend(options.root.as_ref().map(|_| "root".to_owned()));
    parts.extend(options.cancel.as_ref().map(|cancel| format!("cancel {}", cancel.value)));
    parts.extend(options.cancel_of_block.as_ref().map(|cancel| format!("block's cancel {}", cancel.value)));
    parts.extend(options.krate.as_ref().map(|krate| krate.value.segments[0].ident.to_string()));
    parts.extend(options.tags.iter().flat_map(|tags| &tags.value).map(|tag| match &tag.source {
        tag::Source::Expr(value) => format!("{}={}", tag.key, crate::shown::shown(value)),
        tag::Source::Argument(_) => tag.key.clone(),
    }));
    parts.join(" ")
}

#[test]
fn a_method_takes_what_it_does_not_set_from_its_block() {
    let block = "kind = client, err = log, root, cancel = off, crate = a::b, tags(x = 1, y = 2)";
    for (options, scoped, expected) in [
        ("", "z", "Client log root block's cancel false a x=1 y=2"),
        ("kind = server", "z", "Server log root block's cancel false a x=1 y=2"),
        ("err = off", "z", "Client off root block's cancel false a x=1 y=2"),
        ("cancel = on", "z", "Client log root cancel true block's cancel false a x=1 y=2"),
        ("crate = c", "z", "Client log root block's cancel false c x=1 y=2"),
        ("parent = p", "z", "Client log block's cancel false a x=1 y=2"),
        ("root", "z", "Client log root block's cancel false a x=1 y=2"),
        ("tags(w = 3)", "z", "Client log root block's cancel false a w=3 x=1 y=2"),
        ("tags(y = 3)", "z", "Client log root block's cancel false a y=3 x=1"),
        ("", "y", "Client log root block's cancel false a x=1"),
        ("tags(w = 3)", "y, x", "Client log root block's cancel false a w=3"),
    ] {
        assert_eq!(shown(&method(options, block, scoped, true)), expected, "{options}, {scoped}");
    }
    assert_eq!(shown(&method("", block, "z", false)), "Client root block's cancel false a x=1 y=2");
    assert_eq!(shown(&method("err = log", block, "z", false)), "Client log root block's cancel false a x=1 y=2");
    assert_eq!(shown(&method("tags(w)", "kind = client", "z", true)), "Client w");
}

#[test]
fn the_path_of_a_sibling_has_the_lowest_precedence() {
    let path: Path = syn::parse_quote!(sibling::throughline);
    for (options, expected) in [("", "sibling"), ("crate = own", "own"), ("__block(crate = block)", "block")] {
        let mut options = parse(Attr::Traced, options.parse().unwrap(), &Report::default());
        options.adopt(Some(path.clone()), &[], true);
        assert_eq!(shown(&options), expected);
    }
}

#[test]
fn a_method_is_excluded_by_a_single_option() {
    for (options, expected) in
        [("skip", true), ("__block(kind = client), skip", true), ("skip, root", false), ("root", false), ("", false)]
    {
        assert_eq!(
            parse(Attr::Traced, options.parse().unwrap(), &Report::default()).only_skips(),
            expected,
            "{options}"
        );
    }
}
