//! Reads Rust sources just far enough to know which paths their code names: no comments, no strings, no test code.

/// A path as it is written, `use` trees taken apart: `["crate", "state", "State"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    line: usize,
}

impl Token {
    fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphanumeric() || first == '_')
    }
}

/// Every path the code of a file names, `use` trees and plain paths alike. `super` and `self` are resolved from `module`, the
/// file's own place in the crate, so each path starts with `crate` or with another crate's name or a local one.
pub(crate) fn paths(source: &str, module: &[&str]) -> Vec<Path> {
    let tokens = without_tests(&tokens(source));
    let mut paths = Vec::new();
    let mut inline_modules: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inline_modules.pop_if(|(_, opened_at)| *opened_at == depth);
            }
            "mod" if tokens.get(at + 2).is_some_and(|next| next.is("{")) => {
                inline_modules.push((tokens[at + 1].text.clone(), depth));
            }
            _ => {}
        }
        // `pub(crate)` and `pub(super)` name nothing.
        let is_visibility = token.is("(") && at > 0 && tokens[at - 1].is("pub");
        if is_visibility && !tokens[at + 1].is("in") {
            at += 3;
            continue;
        }
        let starts_path = token.is_word() || (token.is("::") && (at == 0 || !tokens[at - 1].is_word()));
        if starts_path {
            let mut here: Vec<String> = module.iter().map(ToString::to_string).collect();
            here.extend(inline_modules.iter().map(|(name, _)| name.clone()));
            let mut found = Vec::new();
            at = tree(&tokens, at, &mut Vec::new(), &mut found);
            paths.extend(found.into_iter().map(|path| resolved(path, &here)));
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads `a::b::{c, d::*}` from `at`; returns where it ends.
fn tree(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Path>) -> usize {
    let line = tokens[at].line;
    let kept = prefix.len();
    if tokens[at].is("::") {
        at += 1;
    }
    loop {
        match tokens.get(at) {
            Some(token) if token.is_word() || token.is("*") => {
                prefix.push(token.text.clone());
                at += 1;
            }
            Some(token) if token.is("{") && !prefix.is_empty() => {
                at += 1;
                while tokens.get(at).is_some_and(|token| !token.is("}")) {
                    at = if tokens[at].is(",") { at + 1 } else { tree(tokens, at, prefix, found) };
                }
                prefix.truncate(kept);
                return at + 1;
            }
            _ => break,
        }
        if tokens.get(at).is_some_and(|token| token.is("::")) {
            at += 1;
        } else {
            break;
        }
    }
    found.push(Path { segments: prefix.clone(), line });
    prefix.truncate(kept);
    // `as name` and what cannot start a path are the caller's to skip.
    at.max(1)
}

fn resolved(path: Path, module: &[String]) -> Path {
    let mut rest = path.segments.as_slice();
    let mut base = module.to_vec();
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "self" if !after.is_empty() => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        rest = after;
    }
    if rest.len() == path.segments.len() {
        return path;
    }
    let segments = std::iter::once("crate".to_owned()).chain(base).chain(rest.iter().cloned()).collect();
    Path { segments, ..path }
}

/// Drops every item that is built for tests, or for them and fuzzing.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const MARKS: [&[&str]; 2] = [
        &["#", "[", "cfg", "(", "test", ")", "]"],
        &["#", "[", "cfg", "(", "any", "(", "test", ",", "fuzzing", ")", ")", "]"],
    ];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_there = |mark: &&&[&str]| {
            let texts = tokens[at..].iter().map(|token| token.text.as_str());
            texts.take(mark.len()).eq(mark.iter().copied())
        };
        if let Some(mark) = MARKS.iter().find(is_there) {
            at = end_of_item(tokens, at + mark.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Behind the `;` or the closing brace of the item that starts at `at`.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ";" if depth == 0 => break,
            _ => {}
        }
    }
    at
}

/// Words, `::` and single characters; comments, strings, characters and lifetimes are left out.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let (length, is_token) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = string(rest) {
            (length, false)
        } else if first == '\'' {
            (character_or_lifetime(rest), false)
        } else if is_word(first) {
            (rest.find(|character| !is_word(character)).unwrap_or(rest.len()), true)
        } else if rest.starts_with("::") {
            (2, true)
        } else {
            (first.len_utf8(), !first.is_whitespace())
        };
        let (text, after) = rest.split_at(length);
        if is_token {
            tokens.push(Token { text: text.to_owned(), line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of the string literal `text` starts with, if it starts with one.
fn string(text: &str) -> Option<usize> {
    let after_prefix = text.trim_start_matches(['b', 'c']);
    let is_raw = after_prefix.starts_with('r');
    let after_prefix = after_prefix.strip_prefix('r').unwrap_or(after_prefix);
    let hashes = after_prefix.len() - after_prefix.trim_start_matches('#').len();
    let prefix = text.len() - after_prefix.len();
    if prefix > 2 || (hashes > 0 && !is_raw) || !after_prefix[hashes..].starts_with('"') {
        return None;
    }
    let start = prefix + hashes + 1;
    if is_raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()));
    }
    let mut is_escaped = false;
    for (at, character) in text[start..].char_indices() {
        match character {
            '"' if !is_escaped => return Some(start + at + 1),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    Some(text.len())
}

/// `'a'`, `'\n'`, or the lifetime `'a`.
fn character_or_lifetime(text: &str) -> usize {
    let mut characters = text.chars().skip(1);
    match (characters.next(), characters.next()) {
        (Some('\\'), _) => text[3..].find('\'').map_or(text.len(), |at| at + 4),
        (Some(character), Some('\'')) => character.len_utf8() + 2,
        _ => {
            let is_word = |character: char| character.is_alphanumeric() || character == '_';
            text[1..].find(|character| !is_word(character)).map_or(text.len(), |at| at + 1)
        }
    }
}
