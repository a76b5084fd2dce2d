use super::*;

fn function(text: &str) -> ItemFn {
    ItemFn::parse(text.parse().unwrap()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn arguments_bind_the_names_in_their_patterns() {
    for (arguments, expected) in [
        ("", ""),
        ("self, a: u8, mut b: u8", "a b"),
        ("A: u8", "A"),
        ("_: u8", ""),
        ("a @ (b, _): (u8, u8)", "a b"),
        ("(a, B, ref C, (d)): (u8, u8, u8, u8)", "a C d"),
        ("(mut A, B @ _): (u8, u8)", "A B"),
        ("Path(a): Path<u8>", "a"),
        ("[a, .., b]: [u8; 3]", "a b"),
        ("Order { a, b: (c, _), .. }: Order", "a c"),
        ("&a: &u8", "a"),
        ("(Some(a) | Other(a)): Order", "a"),
    ] {
        let names: Vec<_> =
            function(&format!("fn f({arguments}) {{}}")).bindings().iter().map(Ident::to_string).collect();
        assert_eq!(names.join(" "), expected, "{arguments}");
    }
}

#[test]
fn a_result_is_recognized_by_its_type() {
    for (ty, expected) in [
        ("Result<u8, Error>", true),
        ("io::Result<u8>", true),
        ("Answer", true),
        ("impl Future<Output = Result<u8, Error>>", true),
        ("(Result<u8, Error>)", true),
        ("BoxFuture<'a, io::Result<u8>>", true),
        ("BoxFuture<'a, u8>", true),
        ("impl Future<Output = u8>", false),
        ("impl Stream<Item = Option<u8>>", false),
        ("Pin<Box<dyn Future<Output = ()> + Send>>", false),
        ("my::Option<u8>", true),
        ("<A as B>::C", true),
        ("<Vec as B>::C", true),
        ("Option<u8>", false),
        ("String", false),
        ("(u8, u8)", false),
        ("()", false),
        ("!", false),
        ("[u8; 2]", false),
        ("&'static Result<u8, Error>", false),
        ("*const u8", false),
        ("fn() -> Result<u8, Error>", false),
    ] {
        assert_eq!(function(&format!("fn f() -> {ty} {{}}")).may_fail(), expected, "{ty}");
    }
}

#[test]
fn inner_attributes_move_to_the_function() {
    for (body, attributes, rest) in [
        ("#![cold] #![inline] a()", 2, "a ()"),
        ("#[cold] fn a() {}", 0, "# [cold] fn a () { }"),
        ("a()", 0, "a ()"),
        ("", 0, ""),
    ] {
        let item = function(&format!("fn f() {{ {body} }}"));
        assert_eq!(item.attrs.len(), attributes, "{body}");
        assert!(item.attrs.iter().all(|attr| matches!(attr.style, syn::AttrStyle::Outer)), "{body}");
        assert_eq!(item.body.unwrap().stream().to_string().replace("#[", "# ["), rest, "{body}");
    }
}

#[test]
fn names_are_found_in_groups_and_in_format_strings() {
    for (tokens, expected) in [
        ("a", true),
        ("b(c[{ a }])", true),
        ("ab", false),
        ("\"{a}\"", true),
        ("\"{a:?}\"", true),
        ("\"{b:>a$}\"", true),
        ("\"{b:.a$}\"", true),
        ("\"a {b}\"", false),
        ("'a'", false),
    ] {
        let name = Ident::new("a", proc_macro2::Span::call_site());
        assert_eq!(mentions(&tokens.parse().unwrap(), &name), expected, "{tokens}");
    }
    assert!(mentions(&"\"{type}\"".parse().unwrap(), &Ident::new_raw("type", proc_macro2::Span::call_site())));
}

#[test]
fn only_an_owned_self_is_a_mutable_local() {
    for (receiver, expected) in [
        ("mut self", true),
        ("mut self: Self", true),
        ("mut self: (Self)", true),
        ("self", false),
        ("self: Self", false),
        ("mut self: Box<Self>", false),
        ("&mut self", false),
        ("a: u8", false),
    ] {
        assert_eq!(owns_mutable_self(&function(&format!("fn f({receiver}) {{}}")).sig), expected, "{receiver}");
    }
}
