//! What a JavaScript test claims: `expect`, `assert` and their methods, each with how much it claims.

use crate::inventory::{
    Assertion, Parts, Strength, all_literal, assertion, asserts_by_name, find, is_constant, or_true, same_sides,
};
use crate::lex::{Kind, Tokens};

/// The assertion that starts at a token, and its last token.
pub(super) fn one(tokens: &Tokens<'_>, at: usize, to: usize) -> Option<(Assertion, usize)> {
    let name = tokens.text(at);
    if tokens.get(at)?.kind != Kind::Word || at > 0 && matches!(tokens.text(at - 1), "function" | "?.") {
        return None;
    }
    if name == "expect" && tokens.is(at + 1, "(") {
        return expect(tokens, at, to);
    }
    if matches!(name, "assert" | "t")
        && (tokens.is(at + 1, "(") && name == "assert" || tokens.is(at + 1, ".") && tokens.is(at + 3, "("))
    {
        let dotted = tokens.is(at + 1, ".");
        let method = if dotted { tokens.text(at + 2) } else { "ok" };
        let open = if dotted { at + 3 } else { at + 1 };
        let close = tokens.close(open);
        let args = tokens.split(open + 1, close);
        let (strength, negative, count) = assert_method(method)?;
        let always = match (method, args.as_slice()) {
            ("ok" | "isTrue", [one, ..]) => {
                is_constant(tokens, one.0, one.1) == Some(true) || or_true(tokens, one.0, one.1)
            }
            (_, [left, right, ..]) if strength == Strength::Equal => {
                same_sides(tokens, *left, *right)
                    || all_literal(tokens, left.0, left.1) && all_literal(tokens, right.0, right.1)
            }
            _ => false,
        };
        let strength = match (method, args.first()) {
            ("ok", Some(one)) => boolean(tokens, one.0, one.1),
            _ => strength,
        };
        let end = args.get(count.saturating_sub(1)).map_or(close, |arg| arg.1);
        return Some((assertion(tokens, at, end, Parts { strength, negative, always, custom: None }), close));
    }
    if asserts_by_name(name) && tokens.is(at + 1, "(") && name != "check" && name != "should" {
        let close = tokens.close(at + 1);
        return Some((
            assertion(
                tokens,
                at,
                close,
                Parts { strength: Strength::Equal, negative: false, always: false, custom: Some(name.to_owned()) },
            ),
            close,
        ));
    }
    None
}

/// Strength of a condition handed to `assert(…)`.
fn boolean(tokens: &Tokens<'_>, from: usize, to: usize) -> Strength {
    if find(tokens, from, to, &["||"]).is_some() {
        Strength::Truth
    } else if find(tokens, from, to, &["==", "==="]).is_some() {
        Strength::Equal
    } else if find(tokens, from, to, &["!=", "!==", "<", ">", "<=", ">=", "includes", "startsWith", "endsWith", "test"])
        .is_some()
    {
        Strength::Contain
    } else {
        Strength::Truth
    }
}

fn assert_method(method: &str) -> Option<(Strength, bool, usize)> {
    use Strength::{Contain, Equal, NoThrow, NonNull, Truth};
    Some(match method {
        "equal"
        | "strictEqual"
        | "deepEqual"
        | "deepStrictEqual"
        | "is"
        | "same"
        | "partialDeepStrictEqual"
        | "rejects"
        | "throws"
        | "snapshot" => (Equal, false, 2),
        "notEqual" | "notStrictEqual" | "notDeepEqual" | "notDeepStrictEqual" | "not" => (Contain, true, 2),
        "match" | "regex" | "include" | "includes" | "lengthOf" | "closeTo" | "isAbove" | "isBelow" => {
            (Contain, false, 2)
        }
        "doesNotMatch" => (Contain, true, 2),
        "ok" | "isTrue" | "true" | "truthy" => (Truth, false, 1),
        "isFalse" | "false" | "notOk" | "falsy" => (Truth, true, 1),
        "exists" | "isDefined" | "isNotNull" => (NonNull, false, 1),
        "doesNotThrow" | "doesNotReject" | "ifError" | "pass" | "notThrows" => (NoThrow, false, 1),
        _ => return None,
    })
}

fn expect(tokens: &Tokens<'_>, at: usize, to: usize) -> Option<(Assertion, usize)> {
    let close = tokens.close(at + 1);
    let mut next = close + 1;
    let mut negative = false;
    let mut promise = false;
    let mut matcher = "";
    let mut end = close;
    let mut args = Vec::new();
    while tokens.is(next, ".") && next < to {
        let word = tokens.text(next + 1);
        match word {
            "not" => negative = true,
            "resolves" | "rejects" => promise = true,
            "to" | "be" | "been" | "have" | "is" | "that" | "deep" | "a" | "an" | "and" | "with" => {}
            other => matcher = other,
        }
        end = next + 1;
        next += 2;
        if tokens.is(next, "(") {
            args = tokens.split(next + 1, tokens.close(next));
            end = tokens.close(next);
            next = end + 1;
        }
    }
    use Strength::{Contain, Equal, NoThrow, NonNull, Truth};
    let constant = args.first().and_then(|arg| is_constant(tokens, arg.0, arg.1));
    let (strength, unary) = match matcher {
        "toBe"
        | "toEqual"
        | "toStrictEqual"
        | "equal"
        | "equals"
        | "eq"
        | "eql"
        | "toMatchObject"
        | "toHaveLength"
        | "toHaveBeenCalledWith"
        | "toHaveBeenLastCalledWith"
        | "toHaveBeenCalledTimes"
        | "toMatchSnapshot"
        | "toMatchInlineSnapshot"
        | "toHaveBeenNthCalledWith"
        | "toHaveTextContent"
        | "toHaveReturnedWith"
        | "toBeCloseTo" => (if negative { Contain } else { Equal }, false),
        "toBeTruthy" | "toBeFalsy" | "ok" | "true" | "false" | "toHaveBeenCalled" | "called" => (Truth, true),
        "toBeDefined" | "exist" | "toBeInTheDocument" => (NonNull, true),
        "toBeNull" | "toBeUndefined" | "null" | "undefined" => (if negative { NonNull } else { Contain }, true),
        "toThrow" | "toThrowError" | "throw" => match (negative, args.is_empty()) {
            (true, _) => (NoThrow, false),
            (false, true) => (Contain, false),
            (false, false) => (Equal, false),
        },
        "" => (NoThrow, false),
        _ => (Contain, false),
    };
    let operand = (at + 2, close);
    let always = match matcher {
        "toBeTruthy" | "true" | "ok" => {
            is_constant(tokens, operand.0, operand.1) == Some(!negative)
                || !negative && or_true(tokens, operand.0, operand.1)
        }
        "toBeDefined" | "exist" => all_literal(tokens, operand.0, operand.1) && !negative,
        "toBe" | "toEqual" | "toStrictEqual" | "equal" | "eql" | "eq" => {
            let arg = args.first().copied();
            !negative
                && arg.is_some_and(|arg| {
                    same_sides(tokens, operand, arg)
                        || all_literal(tokens, operand.0, operand.1) && all_literal(tokens, arg.0, arg.1)
                })
                || !negative && constant == Some(true) && or_true(tokens, operand.0, operand.1)
        }
        // `expect(x)` without a matcher checks nothing.
        "" => true,
        _ => false,
    };
    // A promise nobody waits for fails after the test has passed.
    let before = at.checked_sub(1).map_or("", |before| tokens.text(before));
    let waited = matches!(before, "await" | "return" | "=>" | "," | "[" | "(");
    let mut found = assertion(
        tokens,
        at,
        end + usize::from(!unary || end > close),
        Parts { strength, negative, always, custom: None },
    );
    found.swallowed = promise && !waited;
    Some((found, end))
}
