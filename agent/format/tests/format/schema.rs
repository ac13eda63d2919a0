//! Reads the `schema` listings of `FORMAT.md` and, with nothing else, encodes and decodes records.
//!
//! This is the independent second implementation of the wire format: it shares no code with the crate.

use std::collections::BTreeMap;

use proptest::prelude::*;

/// The contract, as text.
pub(crate) const FORMAT: &str = include_str!("../../FORMAT.md");

/// A type of the listings.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Named(String),
    List(Box<Type>),
    Option(Box<Type>),
}

/// A definition of the listings.
#[derive(Debug, Clone)]
pub(crate) enum Definition {
    Struct(Fields),
    Enum(BTreeMap<u64, Variant>),
}

pub(crate) type Fields = Vec<(String, Type)>;

#[derive(Debug, Clone)]
pub(crate) enum Variant {
    Unit(String),
    Tuple(String, Type),
    Fields(String, Fields),
}

/// All definitions by name.
pub(crate) struct Schema(pub(crate) BTreeMap<String, Definition>);

/// A decoded value; its [`Value::debug`] is what `{:?}` prints for the crate's own type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Byte(u8),
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Text(String),
    List(Vec<Value>),
    Option(Option<Box<Value>>),
    Struct(String, Vec<(String, Value)>),
    Variant(u64, String, Option<Box<Value>>),
}

impl Schema {
    /// Parses every listing of `FORMAT.md`.
    pub(crate) fn of_format_md() -> Schema {
        let mut schema = Schema(BTreeMap::new());
        for listing in FORMAT.split("```schema\n").skip(1) {
            let listing = listing.split("```").next().expect("a listing ends");
            for paragraph in listing.split("\n\n") {
                schema.define(paragraph);
            }
        }
        schema
    }

    fn define(&mut self, paragraph: &str) {
        let mut lines =
            paragraph.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty());
        let (kind, name) = lines.next().and_then(|head| head.split_once(' ')).expect("`struct NAME` or `enum NAME`");
        let definition = match kind {
            "struct" => Definition::Struct(lines.map(parse_field).collect()),
            "enum" => Definition::Enum(lines.map(parse_variant).collect()),
            other => panic!("a definition begins with struct or enum, not {other}"),
        };
        assert!(self.0.insert(name.into(), definition).is_none(), "{name} is defined twice");
    }

    /// Decodes a value of type `name` from the front of `input`; `None` when the bytes are no such value.
    pub(crate) fn decode(&self, name: &str, input: &mut &[u8]) -> Option<Value> {
        self.value(&Type::Named(name.into()), input)
    }

    fn value(&self, of: &Type, input: &mut &[u8]) -> Option<Value> {
        let name = match of {
            Type::Named(name) => name.as_str(),
            Type::List(element) => {
                let count = varint(input)?;
                return (0..count).map(|_| self.value(element, input)).collect::<Option<_>>().map(Value::List);
            }
            Type::Option(inner) => {
                return match take(input, 1)?[0] {
                    0 => Some(Value::Option(None)),
                    1 => Some(Value::Option(Some(Box::new(self.value(inner, input)?)))),
                    _ => None,
                };
            }
        };
        Some(match name {
            "u8" => Value::Byte(take(input, 1)?[0]),
            "bool" => Value::Bool(take(input, 1)?[0] == 1),
            "u32" | "u64" => Value::Unsigned(varint(input)?),
            "i32" | "i64" => Value::Signed(unzigzag(varint(input)?)),
            "string" => {
                let length = varint(input)?;
                Value::Text(String::from_utf8(take(input, usize::try_from(length).ok()?)?.to_vec()).ok()?)
            }
            _ => match &self.0[name] {
                Definition::Struct(fields) => Value::Struct(name.into(), self.fields(fields, input)?),
                Definition::Enum(variants) => {
                    let tag = varint(input)?;
                    match variants.get(&tag)? {
                        Variant::Unit(variant) => Value::Variant(tag, variant.clone(), None),
                        Variant::Tuple(variant, inner) => {
                            Value::Variant(tag, variant.clone(), Some(Box::new(self.value(inner, input)?)))
                        }
                        Variant::Fields(variant, fields) => {
                            let inner = Value::Struct(variant.clone(), self.fields(fields, input)?);
                            Value::Variant(tag, String::new(), Some(Box::new(inner)))
                        }
                    }
                }
            },
        })
    }

    fn fields(&self, fields: &Fields, input: &mut &[u8]) -> Option<Vec<(String, Value)>> {
        fields.iter().map(|(name, of)| Some((name.clone(), self.value(of, input)?))).collect()
    }

    fn any_of(&self, of: &Type) -> BoxedStrategy<Value> {
        let name = match of {
            Type::Named(name) => name.as_str(),
            Type::List(element) => {
                return prop::collection::vec(self.any_of(element), 0..4).prop_map(Value::List).boxed();
            }
            Type::Option(inner) => {
                let inner = prop::option::of(self.any_of(inner).prop_map(Box::new));
                return inner.prop_map(Value::Option).boxed();
            }
        };
        match name {
            "u8" => any::<u8>().prop_map(Value::Byte).boxed(),
            "bool" => any::<bool>().prop_map(Value::Bool).boxed(),
            "u32" => wide(32).prop_map(Value::Unsigned).boxed(),
            "u64" => wide(64).prop_map(Value::Unsigned).boxed(),
            "i32" => any::<i32>().prop_map(|value| Value::Signed(value.into())).boxed(),
            "i64" => any::<i64>().prop_map(Value::Signed).boxed(),
            "string" => any::<String>().prop_map(Value::Text).boxed(),
            _ => match &self.0[name] {
                Definition::Struct(fields) => self.any_struct(name, fields),
                Definition::Enum(variants) => {
                    let variants = variants.iter().map(|(tag, variant)| self.any_variant(*tag, variant));
                    prop::strategy::Union::new(variants).boxed()
                }
            },
        }
    }

    /// Values of one variant of the enum `name`.
    pub(crate) fn any_variant_of(&self, name: &str, tag: u64) -> BoxedStrategy<Value> {
        let Definition::Enum(variants) = &self.0[name] else { panic!("{name} is no enum") };
        self.any_variant(tag, &variants[&tag])
    }

    fn any_variant(&self, tag: u64, variant: &Variant) -> BoxedStrategy<Value> {
        match variant {
            Variant::Unit(name) => Just(Value::Variant(tag, name.clone(), None)).boxed(),
            Variant::Tuple(name, inner) => {
                let name = name.clone();
                let inner = self.any_of(inner);
                inner.prop_map(move |inner| Value::Variant(tag, name.clone(), Some(Box::new(inner)))).boxed()
            }
            Variant::Fields(name, fields) => {
                let inner = self.any_struct(name, fields);
                inner.prop_map(move |inner| Value::Variant(tag, String::new(), Some(Box::new(inner)))).boxed()
            }
        }
    }

    fn any_struct(&self, name: &str, fields: &Fields) -> BoxedStrategy<Value> {
        let name = name.to_owned();
        let names: Vec<String> = fields.iter().map(|(field, _)| field.clone()).collect();
        let values: Vec<BoxedStrategy<Value>> = fields.iter().map(|(_, of)| self.any_of(of)).collect();
        values.prop_map(move |values| Value::Struct(name.clone(), names.iter().cloned().zip(values).collect())).boxed()
    }
}

impl Value {
    /// Appends the value's bytes, by the rules of section 2.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Byte(byte) => out.push(*byte),
            Value::Bool(value) => out.push(u8::from(*value)),
            Value::Unsigned(value) => put_varint(*value, out),
            Value::Signed(value) => put_varint(zigzag(*value), out),
            Value::Text(text) => {
                put_varint(text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
            }
            Value::List(values) => {
                put_varint(values.len() as u64, out);
                values.iter().for_each(|value| value.encode(out));
            }
            Value::Option(None) => out.push(0),
            Value::Option(Some(value)) => {
                out.push(1);
                value.encode(out);
            }
            Value::Struct(_, fields) => fields.iter().for_each(|(_, value)| value.encode(out)),
            Value::Variant(tag, _, inner) => {
                put_varint(*tag, out);
                inner.iter().for_each(|inner| inner.encode(out));
            }
        }
    }

    /// What `{:?}` prints for the crate's type of the same shape.
    pub(crate) fn debug(&self) -> String {
        match self {
            Value::Byte(byte) => byte.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Unsigned(value) => value.to_string(),
            Value::Signed(value) => value.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(values) => format!("[{}]", values.iter().map(Value::debug).collect::<Vec<_>>().join(", ")),
            Value::Option(None) => "None".into(),
            Value::Option(Some(value)) => format!("Some({})", value.debug()),
            Value::Struct(name, fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(field, value)| format!("{field}: {}", value.debug())).collect();
                format!("{name} {{ {} }}", fields.join(", "))
            }
            Value::Variant(_, name, None) => name.clone(),
            Value::Variant(_, name, Some(inner)) if name.is_empty() => inner.debug(),
            Value::Variant(_, name, Some(inner)) => format!("{name}({})", inner.debug()),
        }
    }
}

/// Numbers of at most `bits` bits whose length is as random as their value, and those where the encoding changes.
pub(crate) fn wide(bits: u32) -> BoxedStrategy<u64> {
    let max = u64::MAX >> (64 - bits);
    let edges: Vec<u64> = [0, 250, 251, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX]
        .into_iter()
        .filter(|edge| *edge <= max)
        .chain([max])
        .collect();
    prop_oneof![
        3 => (0..bits, any::<u64>()).prop_map(move |(shift, value)| (value & max) >> shift),
        1 => prop::sample::select(edges),
    ]
    .boxed()
}

fn parse_field(text: &str) -> (String, Type) {
    let (name, of) = text.split_once(':').expect("`name: type`");
    (name.trim().into(), parse_type(of.trim()))
}

fn parse_type(text: &str) -> Type {
    let inside = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>'));
    match (inside("list<"), inside("option<")) {
        (Some(element), _) => Type::List(Box::new(parse_type(element))),
        (_, Some(inner)) => Type::Option(Box::new(parse_type(inner))),
        _ => Type::Named(text.into()),
    }
}

fn parse_variant(text: &str) -> (u64, Variant) {
    let (tag, text) = text.split_once(' ').expect("`tag Variant`");
    let text = text.trim();
    let variant = if let Some((name, fields)) = text.split_once(" {") {
        let fields = fields.trim_end_matches('}').split(',').map(parse_field).collect();
        Variant::Fields(name.into(), fields)
    } else if let Some((name, inner)) = text.split_once('(') {
        Variant::Tuple(name.into(), parse_type(inner.strip_suffix(')').expect("`Variant(type)`")))
    } else {
        Variant::Unit(text.into())
    };
    (tag.parse().expect("a variant's number"), variant)
}

fn take<'a>(input: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (front, rest) = input.split_at_checked(bytes)?;
    *input = rest;
    Some(front)
}

/// The varint of section 2.
pub(crate) fn varint(input: &mut &[u8]) -> Option<u64> {
    let more = match take(input, 1)?[0] {
        251 => 2,
        252 => 4,
        253 => 8,
        254 | 255 => return None,
        small => return Some(u64::from(small)),
    };
    Some(take(input, more)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Appends the shortest varint of `value`.
pub(crate) fn put_varint(value: u64, out: &mut Vec<u8>) {
    let (first, more) = match value {
        0..=250 => (value as u8, 0),
        251..=0xffff => (251, 2),
        0x1_0000..=0xffff_ffff => (252, 4),
        _ => (253, 8),
    };
    out.push(first);
    out.extend_from_slice(&value.to_le_bytes()[..more]);
}

/// Signed to unsigned, as section 2 has it.
pub(crate) fn zigzag(value: i64) -> u64 {
    if value < 0 { !((value as u64) << 1) } else { (value as u64) << 1 }
}

/// Unsigned to signed.
pub(crate) fn unzigzag(value: u64) -> i64 {
    let half = (value >> 1) as i64;
    if value & 1 == 1 { !half } else { half }
}
