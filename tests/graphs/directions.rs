//! Derivatives taken forward and in reverse: the same values on random graphs, rows told apart rightly, and the cheaper of the
//! two chosen for a spec.

use crate::common::random_graph::{Ops, build, choices, leaf_value, provenance, sizes};
use crate::common::values::{Feeds, compiled, executor, feed, floats, initial};
use anabranch::diag::SourceMap;
use anabranch::exec::{Clock, Mode, StoreKind};
use anabranch::ir::{Builder, Dim, Graph, NodeId, Role, TensorType, bind, print, verify};
use anabranch::lower::{Direction, Library, Options, lower};
use anabranch::ops::reference::evaluate;
use anabranch::ops::{self, Input, InputKind, Tensor};
use anabranch::passes::{
    Coordinates, Paths, Rows, coordinates, differentiate, forward_gradient, gradients, prune, resolve_training, rows,
    simplify,
};
use proptest::prelude::*;

fn config() -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(11);
    ProptestConfig { cases: 384, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

fn values(graph: &Graph) -> Vec<Tensor<f64>> {
    let bound = bind(graph, &sizes());
    evaluate(&bound, |id| leaf_value(&bound.node(id).provenance.name, bound.ty(id), 0))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn forward_is_reverse_on_random_graphs(choices in choices()) {
        let mut graph = build(&choices, Ops::All);
        let y = graph.outputs[0].node;
        let leaves: Vec<NodeId> = graph.ids().filter(|id| *id <= y && graph.op(*id).name() == "input").collect();
        graph.outputs.clear();
        let mut count = 0;
        for x in leaves {
            let Some(found) = coordinates(&graph, y, x) else { continue };
            let forward = forward_gradient(&mut graph, y, x, found);
            let reverse = gradients(&mut graph, y, &[x])[0];
            graph.add_output(Role::Gradient, format!("forward {count}"), forward);
            graph.add_output(Role::Gradient, format!("reverse {count}"), reverse);
            count += 1;
        }
        prop_assert_eq!(verify(&graph), Ok(()));
        for graph in [&graph, &simplify(&graph)] {
            for pair in values(graph).chunks(2) {
                let scale = pair[1].float().iter().fold(1.0, |scale: f64, value| scale.max(value.abs()));
                let near = pair[0].float().iter().zip(pair[1].float()).all(|(a, b)| (a - b).abs() <= 1e-9 * scale);
                prop_assert!(near && pair[0].shape() == pair[1].shape(), "{pair:?}\n{}", print(graph, "g"));
            }
        }
    }

    #[test]
    fn rows_that_are_apart_stay_apart(choices in choices()) {
        // A value whose rows are apart does not change in row 0 when the source changes in row 1.
        let graph = build(&choices, Ops::All);
        let is_source = |id: &NodeId| graph.op(*id).name() == "input" && graph.ty(*id).shape.first() == Some(&Dim::batch());
        for x in graph.ids().filter(is_source) {
            let found = rows(&graph, &[x], Paths::All);
            let mut watched = graph.clone();
            watched.outputs.clear();
            for id in graph.ids().filter(|id| graph.ty(*id).is_float()) {
                watched.add_output(Role::Output, format!("{id:?}"), id);
            }
            let bound = bind(&watched, &sizes());
            let at = |moved: bool| evaluate::<f64>(&bound, |id| {
                let mut value = leaf_value(&bound.node(id).provenance.name, bound.ty(id), 0).float().clone();
                if moved && id == x {
                    value.index_axis_mut(ndarray::Axis(0), 1).mapv_inplace(|value| 0.5 - value);
                }
                Tensor::Float(value)
            });
            for ((output, before), after) in watched.outputs.iter().zip(at(false)).zip(at(true)) {
                let (before, after) = (before.float(), after.float());
                match found[output.node.index()] {
                    Rows::Apart => prop_assert_eq!(before, after),
                    Rows::Along(axis) => {
                        let half = before.shape()[axis] / 2;
                        for position in 0..half {
                            let of = |values: &ndarray::ArrayD<f64>| values.index_axis(ndarray::Axis(axis), position).to_owned();
                            prop_assert_eq!(of(before), of(after), "{:?} of {}", output.node, print(&graph, "g"));
                        }
                    }
                    Rows::Mixed => {}
                }
            }
        }
    }
}

#[test]
fn rows_are_known_where_they_should_be() {
    let mut graph = Graph::new();
    let mut b = Builder::new(&mut graph, provenance("x"));
    let x = b.emit(Input { kind: InputKind::Input, ty: TensorType::f32(vec![Dim::batch(), Dim::known(2)]) }, &[]);
    b.set_provenance(provenance("w"));
    let w = b.emit(Input { kind: InputKind::Param, ty: TensorType::f32(vec![Dim::known(2), Dim::known(3)]) }, &[]);
    let product = b.emit(ops::MatMul::default(), &[x, w]);
    let hidden = b.emit(ops::Tanh, &[product]);
    let turned = b.transpose(hidden, &[1, 0]);
    let inner = b.sum(turned, &[0]);
    let flat = b.reshape(hidden, vec![Dim::batch().mul(&Dim::known(3)).unwrap()]);
    let total = b.sum(hidden, &[0]);
    let gram = b.emit(ops::MatMul { transpose_x: true, transpose_y: false }, &[hidden, hidden]);
    let stopped = b.emit(ops::StopGradient, &[total]);
    let centred = b.broadcast(stopped, &[Dim::batch(), Dim::known(3)], &[1]);
    let centred = b.sub(hidden, centred);
    let found = rows(&graph, &[x], Paths::All);
    let differentiable = rows(&graph, &[x], Paths::Differentiable);
    for (id, wanted) in [
        (w, Rows::Apart),
        (hidden, Rows::Along(0)),
        (turned, Rows::Along(1)),
        (inner, Rows::Along(0)),
        (flat, Rows::Along(0)),
        (total, Rows::Mixed),
        (gram, Rows::Mixed),
        (centred, Rows::Mixed),
    ] {
        assert_eq!(found[id.index()], wanted, "{id:?}\n{}", print(&graph, "g"));
    }
    assert_eq!(differentiable[centred.index()], Rows::Along(0), "what is stopped has no derivative to mix");
}

/// The second derivative of a net of one input by its only coordinate.
const ODE: &str = "\
input time: f32[batch, 1]
layer field(z: f32[batch, 1]) {
    let hidden = z |> dense(units=16, activation=tanh) |> dense(units=16, activation=tanh)
    return (hidden |> dense(units=1))[:, 0]
}
layer u = field()
let value = u(time)
let slope = grad(value, time)[:, 0]
let bend = grad(slope, time)[:, 0]
loss residual = square(bend + value)
train { minimize residual  optimizer sgd(lr=0.01) }
";

#[test]
fn one_coordinate_is_swept_forward() {
    let compiled = compiled(ODE);
    assert_eq!(compiled.derivatives.len(), 2);
    for derivative in &compiled.derivatives {
        assert_eq!(derivative.direction, Direction::Forward, "{derivative}");
        assert_eq!(derivative.coordinates, Some(Coordinates::ARow(1)));
        assert!(derivative.ratio.is_some_and(|ratio| ratio < 1.0), "{derivative}");
    }
    insta::assert_snapshot!(compiled.derivative_notes());
}

/// The training step with every derivative taken one way.
fn train_step(text: &str, directions: &[Direction]) -> Graph {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let (tree, _) = anabranch::syntax::parse(&sources, id);
    let library = Library::whole(&mut sources).unwrap();
    let (module, _) = lower(&tree, &[], &library, &Options::default(), directions).unwrap();
    assert!(module.derivatives.iter().zip(directions).all(|(derivative, wanted)| derivative.direction == *wanted));
    let whole = differentiate(&resolve_training(&module.graph));
    simplify(&prune(&whole, |output| output.role != Role::Gradient))
}

#[test]
fn all_directions_train_alike() {
    const WAYS: [Direction; 2] = [Direction::Reverse, Direction::Forward];
    let w6 = include_str!("../oracle/w6.anb");
    let points: Vec<f64> = (0..4400).map(|i| ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0).collect();
    let specs = [(ODE, "time", vec![0.1, -0.4, 0.7, 1.1, 0.3], 5), (w6, "points", points, 2200)];
    for (text, field, values, rows) in specs {
        let first_values = compiled(text);
        let steps = |directions: &[Direction]| {
            let mut store = initial::<f64>(&first_values, Mode::Planned);
            let mut step = executor::<f64>(&train_step(text, directions), rows, Mode::Planned);
            feed(&mut step, &Feeds::from([(field.into(), values.clone())]));
            for i in 0..2 {
                step.run(&mut store, Clock { step: i, ..Clock::default() }).unwrap();
            }
            let params = store.entries().filter(|entry| entry.kind() == StoreKind::Param);
            params.flat_map(|entry| floats(entry.values())).collect::<Vec<_>>()
        };
        let wanted = steps(&[Direction::Reverse; 2]);
        for (first, second) in WAYS.into_iter().flat_map(|first| WAYS.map(|second| (first, second))) {
            let found = steps(&[first, second]);
            let near = found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1e-8 * b.abs().max(1e-2));
            assert!(near, "{first:?} {second:?}");
        }
    }
}

#[test]
fn many_coordinates_and_mixed_rows_go_in_reverse() {
    let compiled = compiled(
        "input x: f32[batch, 20]
         let y = x |> dense(units=1, activation=tanh)
         let slope = grad(sum(y), x)
         loss size = mean(square(slope), axes=1)
         train { minimize size  optimizer sgd(lr=0.1) }",
    );
    assert_eq!(compiled.derivatives[0].direction, Direction::Reverse);
    assert_eq!(compiled.derivatives[0].coordinates, None);
    assert_eq!(compiled.derivative_notes(), "// grad(sum(y), x): reverse\n");
}

#[test]
fn the_physics_informed_net_says_which_way() {
    insta::assert_snapshot!(compiled(include_str!("../oracle/w6.anb")).derivative_notes());
}
