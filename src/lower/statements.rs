//! Statements of bodies.

use super::findings::Findings;
use super::value::{Frame, Value};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::syntax::ast::{Block, DefinitionKind, SeveralKind, Statement, StatementKind};

impl Lowering {
    /// Lowers a body; gives what it returns, if it does.
    pub(super) fn block(&mut self, frame: &mut Frame, block: &Block) -> Lowered<Option<Value>> {
        for (i, statement) in block.statements.iter().enumerate() {
            if let Some(value) = self.statement(frame, statement)? {
                // After an `if` that returned, the rest is the other case.
                if let (StatementKind::Return { .. }, Some(after)) = (&statement.kind, block.statements.get(i + 1)) {
                    return Err(self.findings.error(
                        Code::E0402,
                        after.span,
                        "this statement is never reached",
                        "the body returned before it",
                    ));
                }
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn statement(&mut self, frame: &mut Frame, statement: &Statement) -> Lowered<Option<Value>> {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Return { value } => return self.expr(frame, value).map(Some),
            StatementKind::If { condition, then, otherwise } => {
                let taken = if self.condition(frame, condition)? { Some(then) } else { otherwise.as_ref() };
                return taken.map_or(Ok(None), |block| self.block(frame, block));
            }
            StatementKind::Let { name, value } => {
                let path = frame.child_path(&name.name);
                let outer = std::mem::replace(&mut frame.value_path, path);
                let value = self.expr(frame, value);
                frame.value_path = outer;
                let value = value?;
                self.scopes.declare(&mut self.findings, frame, name, value)?;
            }
            StatementKind::Several { kind: SeveralKind::Let, names, value } => {
                let at = value.span;
                let value = self.expr(frame, value)?;
                for (name, value) in names.iter().zip(self.elements(value, names, at)?) {
                    self.scopes.declare(&mut self.findings, frame, name, value)?;
                }
            }
            StatementKind::LayerBinding { name, value } => {
                let value = self.instance(frame, &name.name, value)?;
                self.scopes.declare(&mut self.findings, frame, name, value)?;
            }
            StatementKind::Param { name, ty, init, constraint } => {
                self.findings.owned_here(frame, "param", span)?;
                self.param(frame, name, ty, init, constraint.as_ref())?;
            }
            StatementKind::State { name, ty, init } => {
                self.findings.owned_here(frame, "state", span)?;
                self.state(frame, name, ty.as_ref(), init)?;
            }
            StatementKind::Update { name, value, every_epoch } => {
                self.update(frame, name, value, *every_epoch, span)?
            }
            StatementKind::Assert(assertion) => self.assertion(frame, assertion, span)?,
            StatementKind::Const { .. }
            | StatementKind::Input { .. }
            | StatementKind::Target { .. }
            | StatementKind::Several { .. }
            | StatementKind::Output { .. }
            | StatementKind::Loss { .. }
            | StatementKind::Metric { .. }
            | StatementKind::Definition(_)
            | StatementKind::Train { .. }
            | StatementKind::Use { .. } => {
                return Err(self.findings.only_at_file_level(span));
            }
        }
        Ok(None)
    }
}

impl Findings {
    pub(super) fn only_at_file_level(&mut self, span: Span) -> Reported {
        self.report(
            Diagnostic::error(Code::E0402, "this statement stands at file level only")
                .at(span, "inside a body")
                .with_help("inside a body use `let`, `param`, `state`, `update`, `if`, `assert` and `return`"),
        )
    }

    fn owned_here(&mut self, frame: &Frame, what: &str, span: Span) -> Lowered<()> {
        match frame.kind {
            Some(kind @ (DefinitionKind::Fn | DefinitionKind::Initializer)) => Err(self.report(
                Diagnostic::error(Code::E0402, format!("a `{}` cannot own a {what}", kind.keyword()))
                    .at(span, "owned by nothing")
                    .with_help(
                        "make the definition a `layer` (or a `combiner`): each call is then an instance of its own",
                    ),
            )),
            Some(DefinitionKind::Optimizer) if what == "param" => {
                Err(self.error(Code::E0402, span, "an `optimizer` cannot own a param", "use `state`"))
            }
            _ => Ok(()),
        }
    }
}
