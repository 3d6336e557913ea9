//! The grammar's rules in words, for error messages: one place to look when a rule is added.

use super::Rule;

/// Operators between two terms.
pub(super) fn is_operator(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        pipe | power
            | multiply
            | divide
            | floor_divide
            | remainder
            | matmul
            | add
            | subtract
            | equal
            | not_equal
            | less
            | less_equal
            | greater
            | greater_equal
            | and
            | or
    )
}

/// What a value can begin with.
pub(super) fn is_value(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        expr | term
            | primary
            | number
            | boolean
            | none
            | wildcard
            | any_part
            | if_expr
            | list
            | parenthesized
            | negate
            | not
            | range_stop
            | range_step
    )
}

/// The keyword that a rule stands for, quoted.
pub(super) fn keyword(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::const_word => "`const`",
        Rule::input_word => "`input`",
        Rule::target_word => "`target`",
        Rule::param_word => "`param`",
        Rule::state_word => "`state`",
        Rule::update_word => "`update`",
        Rule::let_word => "`let`",
        Rule::layer_word => "`layer`",
        Rule::output_word => "`output`",
        Rule::loss_word => "`loss`",
        Rule::metric_word => "`metric`",
        Rule::train_word => "`train`",
        Rule::assert_word => "`assert`",
        Rule::use_word => "`use`",
        Rule::return_word => "`return`",
        Rule::if_word => "`if`",
        Rule::else_word => "`else`",
        Rule::in_word => "`in`",
        Rule::minimize_word => "`minimize`",
        Rule::optimizer_word => "`optimizer`",
        Rule::clip_word => "`clip`",
        Rule::over_word => "`over`",
        Rule::for_word => "`for`",
        Rule::per_word => "`per`",
        Rule::objective_word => "`objective`",
        Rule::every_word => "`every`",
        Rule::epoch_word => "`epoch`",
        Rule::is_word => "`is`",
        Rule::trained_word => "`trained`",
        Rule::trains_word => "`trains`",
        Rule::only_word => "`only`",
        Rule::never_word => "`never`",
        Rule::predict_word => "`predict`",
        Rule::draws_word => "`draws`",
        Rule::nothing_word => "`nothing`",
        Rule::reads_word => "`reads`",
        Rule::no_word => "`no`",
        Rule::weight_word => "`weight`",
        _ => return None,
    })
}

/// What else can be missing, in words.
pub(super) fn phrase(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::name => "a name",
        Rule::string => "a string",
        Rule::type_expr => "a type",
        Rule::pattern | Rule::pattern_list => "a param path",
        Rule::hyphenated => "the name of a lint",
        Rule::parameter => "a parameter",
        Rule::argument => "an argument",
        Rule::dim => "an extent",
        Rule::index_item => "an index",
        Rule::train_entry => "`minimize`, `optimizer`, `clip`",
        Rule::constraint => "`in`",
        Rule::every_epoch => "`every epoch`",
        Rule::trains_clause | Rule::trains => "`trains`",
        Rule::trains_only => "`trains only`",
        Rule::never_trains => "`never trains`",
        Rule::predict_contract => "`predict draws nothing`",
        Rule::draws_nothing => "`draws nothing`",
        Rule::reads_no_weight => "`reads no loss weight`",
        Rule::shape_clause | Rule::colon => "`:`",
        Rule::open_paren => "`(`",
        Rule::close_paren => "`)`",
        Rule::dims | Rule::open_bracket => "`[`",
        Rule::close_bracket => "`]`",
        Rule::block | Rule::open_brace => "`{`",
        Rule::close_brace => "`}`",
        Rule::comma => "`,`",
        Rule::dot => "`.`",
        Rule::equals => "`=`",
        Rule::at => "`@`",
        _ => return None,
    })
}
