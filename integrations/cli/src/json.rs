//! OTLP as JSON (specification of OTLP, section "JSON Protobuf Encoding"). The members of a document are read one by
//! one, so that a document may be larger than the memory.

use std::fmt;
use std::io::BufRead;
use std::marker::PhantomData;

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use throughline::text;

use crate::counted::Counted;
use crate::dump::{Each, Stop};
use crate::error::ReadError;
use crate::lenient::Lenient;

pub(crate) fn read(mut input: Counted<'_>, each: &mut Each<'_>) -> Result<(), Stop> {
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    let mut json = serde_json::Deserializer::from_reader(&mut input);
    let mut seen = Seen::default();
    loop {
        let mut has_begun = false;
        let document = Document { each: &mut *each, seen: &mut seen, has_begun: &mut has_begun };
        match document.deserialize(&mut json) {
            Ok(()) => {}
            Err(error) if error.is_eof() && !has_begun => break,
            Err(error) if error.is_eof() => {
                drop(json);
                return Err(Stop::CutOff(ReadError::of_json_that_ends(input.at, &error)));
            }
            Err(error) => return Err(ReadError::of_json(error).into()),
        }
    }
    if seen.has_spans {
        return Ok(());
    }
    let instead = match &*seen.others {
        [] => "the documents are empty".to_owned(),
        others => format!("the documents have `{}`", others.join("`, `")),
    };
    Err(ReadError::new(format!("JSON without spans: {instead}; expected `resourceSpans`")).into())
}

/// How much of the name of a member is shown, in bytes.
const MAX_SHOWN: usize = 64;

/// The members that were found in the documents.
#[derive(Default)]
struct Seen {
    has_spans: bool,
    /// The first few of the other members.
    others: Vec<String>,
}

/// An `ExportTraceServiceRequest` or a `TracesData`, or a list of them.
struct Document<'a, 'b> {
    each: &'a mut Each<'b>,
    seen: &'a mut Seen,
    has_begun: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `resourceSpans`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        *self.has_begun = true;
        while let Some(member) = members.next_key::<String>()? {
            if matches!(member.as_str(), "resourceSpans" | "resource_spans") {
                self.seen.has_spans = true;
                members.next_value_seed(Elements(self.each))?;
                continue;
            }
            members.next_value::<IgnoredAny>()?;
            // Printed in an error, on a terminal.
            let member = text::sanitize(text::ellipsize(&member, MAX_SHOWN));
            if self.seen.others.len() < 5 && !self.seen.others.iter().any(|other| *other == member) {
                self.seen.others.push(member.into_owned());
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut documents: A) -> Result<(), A::Error> {
        *self.has_begun = true;
        let Self { each, seen, has_begun } = self;
        while documents.next_element_seed(Document { each, seen, has_begun })?.is_some() {}
        Ok(())
    }
}

/// The value of `resourceSpans`.
struct Elements<'a, 'b>(&'a mut Each<'b>);

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of `ResourceSpans`")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element_seed(Lenient(PhantomData::<ResourceSpans>))? {
            (self.0)(element);
        }
        Ok(())
    }
}
