//! Access reviews as kubectl sends them: in protobuf, which its typed clients prefer. Read into the JSON of the same object.
//! It must not know more messages than the two reviews; everything else is refused, and answers are always JSON.

use serde_json::{Value, json};

/// How clients call this format.
pub(super) const MEDIA: &str = "application/vnd.kubernetes.protobuf";

/// What every body begins with, before the envelope.
const MAGIC: &[u8] = b"k8s\0";

/// Fields of `ResourceAttributes`, by their number less one.
const ATTRIBUTES: [&str; 7] =
    ["namespace", "verb", "group", "version", "resource", "subresource", "name"];

/// The review in a body, or nothing where it is none.
pub(super) fn review(body: &[u8]) -> Option<Value> {
    let envelope = Message::read(body.strip_prefix(MAGIC)?)?;
    let kind = Message::read(envelope.bytes(1)?)?.text(2)?;
    let spec = Message::read(Message::read(envelope.bytes(2)?)?.bytes(2)?)?;
    match kind.as_str() {
        "SelfSubjectAccessReview" => Some(json!({ "spec": access(&spec)? })),
        "SelfSubjectRulesReview" => Some(json!({ "spec": { "namespace": spec.text(1)? } })),
        _ => None,
    }
}

fn access(spec: &Message<'_>) -> Option<Value> {
    if let Some(path) = spec.bytes(2) {
        let path = Message::read(path)?;
        let (path, verb) = (path.text(1)?, path.text(2)?);
        return Some(json!({ "nonResourceAttributes": { "path": path, "verb": verb } }));
    }
    let said = Message::read(spec.bytes(1)?)?;
    let mut attributes = json!({});
    for (number, field) in (1..).zip(ATTRIBUTES) {
        attributes[field] = said.text(number).unwrap_or_default().into();
    }
    Some(json!({ "resourceAttributes": attributes }))
}

/// The fields of a message that hold bytes; the reviews have no others.
struct Message<'a>(Vec<(u64, &'a [u8])>);

impl<'a> Message<'a> {
    fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            match key & 7 {
                0 => drop(varint(&mut bytes)?),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let (field, rest) = bytes.split_at_checked(length)?;
                    fields.push((key >> 3, field));
                    bytes = rest;
                }
                _ => return None,
            }
        }
        Some(Self(fields))
    }

    fn bytes(&self, number: u64) -> Option<&'a [u8]> {
        self.0.iter().rev().find(|(own, _)| *own == number).map(|(_, bytes)| *bytes)
    }

    fn text(&self, number: u64) -> Option<String> {
        String::from_utf8(self.bytes(number)?.to_vec()).ok()
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
