//! The syntax tree as text, for people who want to see how a spec was read (`compile --emit ast`) and for snapshots.
//!
//! Takes a tree, gives one bracketed line for each statement, broken and indented where it is long. All of the tree
//! shows, except spans: brackets stand where the tree branches, so precedence can be seen. Not the language itself;
//! that is what the formatter writes.

use super::ast::*;

/// Columns after which a node is broken over lines.
const WIDTH: usize = 100;

/// Prints a tree.
pub fn print(file: &File) -> String {
    let mut text = String::new();
    for statement in &file.statements {
        statement_node(statement).write(0, &mut text);
        text.push('\n');
    }
    text
}

/// What is printed: words, and lists of them in brackets.
enum Node {
    Word(String),
    List(Vec<Node>),
    /// A list that always stands on lines of its own, as bodies do.
    Body(Vec<Node>),
}

impl Node {
    /// The text on one line, unless it is longer than `room` or has a body in it.
    fn flat(&self, room: usize) -> Option<String> {
        match self {
            Self::Word(word) => (word.len() <= room).then(|| word.clone()),
            Self::Body(_) => None,
            Self::List(nodes) => {
                let mut text = "(".to_owned();
                for (index, node) in nodes.iter().enumerate() {
                    if index > 0 {
                        text.push(' ');
                    }
                    text.push_str(&node.flat(room.checked_sub(text.len())?)?);
                }
                text.push(')');
                (text.len() <= room).then_some(text)
            }
        }
    }

    fn write(&self, indent: usize, text: &mut String) {
        // Trees may be deeper than the page is wide; indentation stops growing before it eats the line.
        const DEEPEST: usize = 60;
        if let Some(flat) = self.flat(WIDTH.saturating_sub(indent.min(DEEPEST))) {
            text.push_str(&flat);
            return;
        }
        let nodes = match self {
            Self::Word(word) => return text.push_str(word),
            Self::List(nodes) | Self::Body(nodes) => nodes,
        };
        text.push('(');
        let mut head = true;
        for (index, node) in nodes.iter().enumerate() {
            // Words stay on the line of the first as long as only words came before.
            head &= matches!(node, Self::Word(_));
            match (index, head) {
                (0, _) => {}
                (_, true) => text.push(' '),
                (_, false) => {
                    text.push('\n');
                    text.extend(std::iter::repeat_n(' ', (indent + 2).min(DEEPEST)));
                }
            }
            node.write(indent + 2, text);
        }
        text.push(')');
    }
}

fn word(text: impl Into<String>) -> Node {
    Node::Word(text.into())
}

/// `(head node node …)`
fn list(head: &str, nodes: impl IntoIterator<Item = Node>) -> Node {
    Node::List(std::iter::once(word(head)).chain(nodes).collect())
}

fn quoted(text: &str) -> Node {
    word(format!("{text:?}"))
}

fn statement_node(statement: &Statement) -> Node {
    let node = kind_node(&statement.kind);
    if statement.annotations.is_empty() && statement.doc.is_empty() {
        return node;
    }
    let doc = statement.doc.iter().map(|line| list("doc", [quoted(line)]));
    let annotations = statement.annotations.iter().map(|annotation| {
        let arguments = annotation.arguments.iter().map(|argument| word(&*argument.name));
        list(&format!("@{}", annotation.name.name), arguments)
    });
    Node::Body(std::iter::once(word("with")).chain(doc).chain(annotations).chain([node]).collect())
}

fn kind_node(kind: &StatementKind) -> Node {
    let named = |head: &str, name: &Ident, value: &Expr| list(head, [word(&*name.name), expr_node(value)]);
    match kind {
        StatementKind::Const { name, value } => named("const", name, value),
        StatementKind::Let { name, value } => named("let", name, value),
        StatementKind::Several { kind, names, value } => {
            let names = names.iter().map(|name| word(&*name.name)).collect();
            list(kind.keyword(), [Node::List(names), expr_node(value)])
        }
        StatementKind::LayerBinding { name, value } => named("layer-binding", name, value),
        StatementKind::Output { name, value } => named("output", name, value),
        StatementKind::Loss { name, value } => named("loss", name, value),
        StatementKind::Metric { name, value } => named("metric", name, value),
        StatementKind::Input { name, ty } => list("input", [word(&*name.name), type_node(ty)]),
        StatementKind::Target { name, ty } => list("target", [word(&*name.name), type_node(ty)]),
        StatementKind::Param { name, ty, init, constraint } => {
            let constraint = constraint.iter().map(|constraint| list("in", [expr_node(constraint)]));
            list("param", [word(&*name.name), type_node(ty), expr_node(init)].into_iter().chain(constraint))
        }
        StatementKind::State { name, ty, init } => {
            let ty = ty.iter().map(type_node);
            list("state", std::iter::once(word(&*name.name)).chain(ty).chain([expr_node(init)]))
        }
        StatementKind::Update { name, value, every_epoch } => {
            let head = if *every_epoch { "update-every-epoch" } else { "update" };
            named(head, name, value)
        }
        StatementKind::Definition(definition) => definition_node(definition),
        StatementKind::Train { entries } => {
            Node::Body(std::iter::once(word("train")).chain(entries.iter().map(entry_node)).collect())
        }
        StatementKind::Assert(assertion) => assertion_node(assertion),
        StatementKind::Use { path, .. } => list("use", [quoted(path)]),
        StatementKind::Return { value } => list("return", [expr_node(value)]),
        StatementKind::If { condition, then, otherwise } => {
            let otherwise = otherwise.iter().map(|block| block_node("else", block));
            let nodes = [word("if"), expr_node(condition), block_node("then", then)];
            Node::Body(nodes.into_iter().chain(otherwise).collect())
        }
    }
}

fn block_node(head: &str, block: &Block) -> Node {
    Node::Body(std::iter::once(word(head)).chain(block.statements.iter().map(statement_node)).collect())
}

fn definition_node(definition: &Definition) -> Node {
    let parameters = definition.parameters.iter().map(|parameter| {
        let head = if parameter.variadic { "variadic-parameter" } else { "parameter" };
        let ty = parameter.ty.iter().map(type_node);
        let default = parameter.default.iter().map(|value| list("default", [expr_node(value)]));
        list(head, std::iter::once(word(&*parameter.name.name)).chain(ty).chain(default))
    });
    let head = [word(definition.kind.keyword()), word(&*definition.name.name)];
    let body = definition.body.statements.iter().map(statement_node);
    Node::Body(head.into_iter().chain(parameters).chain(body).collect())
}

fn entry_node(entry: &TrainEntry) -> Node {
    let with_patterns = |head: &str, value: &Expr, link: &str, patterns: &[Pattern]| {
        let link = (!patterns.is_empty()).then(|| list(link, patterns.iter().map(|pattern| word(&*pattern.text))));
        list(head, [expr_node(value)].into_iter().chain(link))
    };
    match &entry.kind {
        TrainEntryKind::Minimize { objective, over } => with_patterns("minimize", objective, "over", over),
        TrainEntryKind::Optimizer { call, per_objective, params } => {
            let head = if *per_objective { "optimizer-per-objective" } else { "optimizer" };
            with_patterns(head, call, "for", params)
        }
        TrainEntryKind::Clip { arguments } => list("clip", arguments.iter().map(argument_node)),
    }
}

fn assertion_node(assertion: &Assertion) -> Node {
    match assertion {
        Assertion::Trains { subject, mode, params } => {
            let head = match mode {
                TrainsMode::Trains => "assert-trains",
                TrainsMode::Only => "assert-trains-only",
                TrainsMode::Never => "assert-never-trains",
            };
            let params = params.iter().map(|pattern| word(&*pattern.text));
            list(head, std::iter::once(expr_node(subject)).chain(params))
        }
        Assertion::EveryParamTrained => list("assert-every-param-trained", []),
        Assertion::Predict(PredictMode::DrawsNothing) => list("assert-predict-draws-nothing", []),
        Assertion::Predict(PredictMode::ReadsNoLossWeight) => list("assert-predict-reads-no-loss-weight", []),
        Assertion::Shape { subject, ty } => list("assert-shape", [expr_node(subject), type_node(ty)]),
        Assertion::Condition { condition } => list("assert", [expr_node(condition)]),
    }
}

fn type_node(ty: &TypeExpr) -> Node {
    let dims = ty.dims.iter().flatten().map(|dim| match dim {
        DimExpr::Expr(expr) => expr_node(expr).flat(usize::MAX).unwrap_or_default(),
        DimExpr::Rest(_) => "...".to_owned(),
    });
    let dims = dims.collect::<Vec<_>>().join(", ");
    let mark = if ty.optional { "?" } else { "" };
    match ty.dims {
        Some(_) => word(format!("{}[{dims}]{mark}", ty.element.name)),
        None => word(format!("{}{mark}", ty.element.name)),
    }
}

fn expr_node(expr: &Expr) -> Node {
    match &expr.kind {
        ExprKind::Number { text, .. } => word(&**text),
        ExprKind::String(text) => quoted(text),
        ExprKind::Bool(value) => word(value.to_string()),
        ExprKind::None => word("none"),
        ExprKind::Name(name) => word(&**name),
        ExprKind::Field { base, field } => list(".", [expr_node(base), word(&*field.name)]),
        ExprKind::Call { callee, arguments } => {
            list("call", std::iter::once(expr_node(callee)).chain(arguments.iter().map(argument_node)))
        }
        ExprKind::Pipe { value, call } => list("|>", [expr_node(value), expr_node(call)]),
        ExprKind::Unary { op, operand } => list(op.symbol(), [expr_node(operand)]),
        ExprKind::Binary { op, left, right } => list(op.symbol(), [expr_node(left), expr_node(right)]),
        ExprKind::Index { base, items } => {
            list("index", std::iter::once(expr_node(base)).chain(items.iter().map(index_node)))
        }
        ExprKind::Wildcard(pattern) => list("params", [word(&**pattern)]),
        ExprKind::ListOf { element, name, source } => {
            list("list-of", [expr_node(element), list("for", [word(&*name.name), expr_node(source)])])
        }
        ExprKind::List(items) => list("list", items.iter().map(expr_node)),
        ExprKind::If { condition, then, otherwise } => {
            list("if", [expr_node(condition), expr_node(then), expr_node(otherwise)])
        }
    }
}

fn argument_node(argument: &Argument) -> Node {
    let value = expr_node(&argument.value);
    match (&argument.name, value, argument.spread) {
        (_, value, true) => list("...", [value]),
        (Some(name), Node::Word(value), _) => word(format!("{}={value}", name.name)),
        (Some(name), value, _) => list("=", [word(&*name.name), value]),
        (None, value, _) => value,
    }
}

fn index_node(item: &IndexItem) -> Node {
    let bound = |bound: &Option<Expr>| bound.as_ref().map_or_else(|| word("_"), expr_node);
    match item {
        IndexItem::Single(expr) => expr_node(expr),
        IndexItem::Range { start, stop, step, .. } => list(":", [bound(start), bound(stop), bound(step)]),
        IndexItem::Rest(_) => word("..."),
    }
}
