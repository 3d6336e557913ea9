//! `burn_step WORKLOAD DATA_FOLDER [flex|ndarray]`: burn on one workload, by the protocol of the peers.
//!
//! Written as a user of burn would write it: its own layers, losses and optimizers wherever they compute what the workload
//! asks for, convolutions in its own order of axes. `flex` is burn's own backend for the CPU, `ndarray` the one before it.

use anabranch_compare::protocol::serve;
use anabranch_compare::workload;
use burn::nn::loss::{CrossEntropyLossConfig, HuberLossConfig, MseLoss, Reduction};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, Optimizer, SgdConfig};
use burn::tensor::activation::{gelu_approximate, relu, sigmoid, softplus};
use burn::tensor::module::{attention, batch_norm_train, conv2d, embedding, layer_norm, linear, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Int, Tensor, TensorData};
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Objective = fn(&Params, &Data) -> Tensor<1>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (name, folder) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let backend = arguments.next().unwrap_or_else(|| "flex".to_string());
    // ndarray is deprecated in favour of flex, but still what most programs with burn on a CPU run on.
    #[allow(deprecated)]
    let device = match backend.as_str() {
        "flex" => Device::flex(),
        "ndarray" => Device::ndarray(),
        other => return Err(format!("no backend {other}: flex or ndarray").into()),
    }
    .autodiff();
    let adam = || AdamConfig::new().with_epsilon(1e-8).build();
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let run = Run { name: &name, path: format!("{folder}/{name}.npz"), device };
    match name.as_str() {
        "w1" => run.serve(w1, SgdConfig::new().build(), 0.01),
        "w2" => run.serve(w2, adam(), 1e-3),
        "w3" => run.serve(w3, SgdConfig::new().with_momentum(Some(momentum)).build(), 0.01),
        "w4" => run.serve(w4, adam(), 1e-3),
        "w5" => run.serve(w5, AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).build(), 3e-4),
        _ => Err("burn has no second derivatives: a device that differentiates cannot be wrapped again".into()),
    }
}

struct Run<'a> {
    name: &'a str,
    path: String,
    device: Device,
}

impl Run<'_> {
    fn serve<O: Optimizer>(self, objective: Objective, optimizer: O, learning_rate: f64) -> Result<()> {
        let batch = workload(self.name).ok_or("no such workload")?.batch;
        let (data, mut params) = read(&self.path, &self.device)?;
        let mut states = States::<O>::default();
        let rows = data.rows().ok_or("no data")?;
        let mut step = 0;
        serve("burn", self.name, || {
            let first = step * batch % rows;
            step += 1;
            let total = objective(&params, &data.part(first, batch));
            let mut gradients = total.backward();
            let mut update = Update { optimizer: &optimizer, learning_rate, gradients: &mut gradients };
            update.all(&mut params.vectors, &mut states.vectors);
            update.all(&mut params.matrices, &mut states.matrices);
            update.all(&mut params.kernels, &mut states.kernels);
            if let Some(alpha) = params.vectors.get_mut("alpha") {
                *alpha = Tensor::from_inner(alpha.clone().inner().clamp(0.0, 1.0)).require_grad();
            }
            Ok(f64::from(total.into_scalar::<f32>()))
        })
    }
}

/// The params of a model by their number of axes.
#[derive(Default)]
struct Params {
    vectors: BTreeMap<String, Tensor<1>>,
    matrices: BTreeMap<String, Tensor<2>>,
    kernels: BTreeMap<String, Tensor<4>>,
}

impl Params {
    fn vector(&self, name: &str) -> Tensor<1> {
        self.vectors[name].clone()
    }

    fn matrix(&self, name: &str) -> Tensor<2> {
        self.matrices[name].clone()
    }

    fn kernel(&self, name: &str) -> Tensor<4> {
        self.kernels[name].clone()
    }
}

/// What the optimizer keeps of every param.
struct States<O: Optimizer> {
    vectors: BTreeMap<String, O::State<1>>,
    matrices: BTreeMap<String, O::State<2>>,
    kernels: BTreeMap<String, O::State<4>>,
}

impl<O: Optimizer> Default for States<O> {
    fn default() -> Self {
        States { vectors: BTreeMap::new(), matrices: BTreeMap::new(), kernels: BTreeMap::new() }
    }
}

struct Update<'a, O: Optimizer> {
    optimizer: &'a O,
    learning_rate: f64,
    gradients: &'a mut burn::tensor::Gradients,
}

impl<O: Optimizer> Update<'_, O> {
    fn all<const D: usize>(
        &mut self,
        params: &mut BTreeMap<String, Tensor<D>>,
        states: &mut BTreeMap<String, O::State<D>>,
    ) {
        for (name, param) in params {
            let Some(gradient) = param.grad_remove(self.gradients) else { continue };
            let value = param.clone().inner();
            let (value, state) = self.optimizer.step(self.learning_rate, value, gradient, states.remove(name));
            *param = Tensor::from_inner(value).require_grad();
            states.extend(state.map(|state| (name.clone(), state)));
        }
    }
}

/// Rows of a data set or of a batch, one row of numbers each.
#[derive(Default)]
struct Data {
    floats: BTreeMap<String, (Tensor<2>, Vec<usize>)>,
    whole: BTreeMap<String, (Tensor<2, Int>, Vec<usize>)>,
}

impl Data {
    fn rows(&self) -> Option<usize> {
        self.floats
            .values()
            .map(|(all, _)| all.dims()[0])
            .chain(self.whole.values().map(|(all, _)| all.dims()[0]))
            .next()
    }

    fn part(&self, first: usize, rows: usize) -> Data {
        let floats = self.floats.iter();
        let whole = self.whole.iter();
        let part = |all: &Tensor<2>| all.clone().narrow(0, first, rows);
        let whole_part = |all: &Tensor<2, Int>| all.clone().narrow(0, first, rows);
        Data {
            floats: floats.map(|(name, (all, row))| (name.clone(), (part(all), row.clone()))).collect(),
            whole: whole.map(|(name, (all, row))| (name.clone(), (whole_part(all), row.clone()))).collect(),
        }
    }

    fn flat(&self, name: &str) -> Tensor<2> {
        self.floats[name].0.clone()
    }

    /// Images with channels as the second axis.
    fn images(&self, name: &str) -> Tensor<4> {
        let (all, row) = &self.floats[name];
        all.clone().reshape([all.dims()[0], row[0], row[1], row[2]]).permute([0, 3, 1, 2])
    }

    fn labels(&self, name: &str) -> Tensor<1, Int> {
        let (all, _) = &self.whole[name];
        all.clone().reshape([-1])
    }

    fn tokens(&self, name: &str) -> Tensor<2, Int> {
        self.whole[name].0.clone()
    }
}

/// The data and the first params; kernels of convolutions in burn's order.
fn read(path: &str, device: &Device) -> Result<(Data, Params)> {
    let mut archive = NpzReader::new(File::open(path)?)?;
    let (mut data, mut params) = (Data::default(), Params::default());
    for entry in archive.names()? {
        let name = entry.trim_end_matches(".npy");
        let floats: std::result::Result<ArrayD<f32>, _> = archive.by_name::<OwnedRepr<f32>, IxDyn>(&entry);
        match (floats, name.strip_prefix("data/"), name.strip_prefix("param/")) {
            (Ok(array), Some(name), _) => {
                let (shape, values) = rows(array);
                let row = shape[1..].to_vec();
                let flat = [shape[0], row.iter().product::<usize>()];
                let tensor = Tensor::from_data(TensorData::new(values, flat), device);
                data.floats.insert(name.to_string(), (tensor, row));
            }
            (Err(_), Some(name), _) => {
                let array: ArrayD<i32> = archive.by_name::<OwnedRepr<i32>, IxDyn>(&entry)?;
                let (shape, values) = rows(array);
                let row = shape[1..].to_vec();
                let flat = [shape[0], row.iter().product::<usize>()];
                let tensor = Tensor::from_data(TensorData::new(values, flat), device);
                data.whole.insert(name.to_string(), (tensor, row));
            }
            (Ok(array), _, Some(name)) => insert(&mut params, name, array, device)?,
            _ => return Err(format!("{entry} is neither data nor a param").into()),
        }
    }
    Ok((data, params))
}

fn rows<T>(array: ArrayD<T>) -> (Vec<usize>, Vec<T>) {
    let shape = array.shape().to_vec();
    (shape, array.into_raw_vec_and_offset().0)
}

fn insert(params: &mut Params, name: &str, array: ArrayD<f32>, device: &Device) -> Result<()> {
    let (shape, values) = rows(array);
    let name = name.to_string();
    match *shape.as_slice() {
        [] | [_] => {
            let value = Tensor::from_data(TensorData::new(values, [shape.iter().product::<usize>()]), device);
            params.vectors.insert(name, value.require_grad());
        }
        [rows, columns] => {
            let value = Tensor::from_data(TensorData::new(values, [rows, columns]), device);
            params.matrices.insert(name, value.require_grad());
        }
        [height, width, from, to] => {
            let value: Tensor<4> = Tensor::from_data(TensorData::new(values, [height, width, from, to]), device);
            // Read back, so that the param lies in memory as burn's own kernels do.
            let turned = value.permute([3, 2, 0, 1]).into_data();
            params.kernels.insert(name, Tensor::from_data(turned, device).require_grad());
        }
        _ => return Err(format!("{name} has {} axes", shape.len()).into()),
    }
    Ok(())
}

fn dense<const D: usize>(p: &Params, x: Tensor<D>, kernel: &str, bias: &str) -> Tensor<D> {
    linear(x, p.matrix(kernel), Some(p.vector(bias)))
}

fn binary_cross_entropy(target: Tensor<2>, probability: Tensor<2>) -> Tensor<1> {
    let q = probability.clamp(1e-7, 1.0 - 1e-7);
    let positive = target.clone() * q.clone().log();
    let negative = (1f32 - target) * (1f32 - q).log();
    -(positive + negative).mean_dim(1).squeeze_dim(1)
}

fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, labels)
}

fn w1(p: &Params, d: &Data) -> Tensor<1> {
    let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let boxes = sigmoid(conv2d(d.images("x"), p.kernel("ck"), Some(p.vector("cb")), options));
    let rows = boxes.dims()[0];
    let boxes = boxes.permute([0, 2, 3, 1]).reshape([rows, 9]);
    let classes = sigmoid(dense(p, d.flat("x"), "dk", "db"));
    let b = binary_cross_entropy(d.flat("box"), boxes);
    let c = binary_cross_entropy(d.flat("cls"), classes);
    let alpha = p.vector("alpha");
    let fixed = alpha.clone().detach();
    let gap = b.clone().detach() * alpha.clone() - c.clone().detach() * (1f32 - alpha);
    (gap.powi_scalar(2) + b * fixed.clone() + c * (1f32 - fixed)).mean()
}

fn w2(p: &Params, d: &Data) -> Tensor<1> {
    let h = relu(dense(p, d.flat("x"), "k1", "b1"));
    let h = relu(dense(p, h, "k2", "b2"));
    let a = cross_entropy(dense(p, h.clone(), "ka", "ba"), d.labels("a"));
    let b = MseLoss::new().forward(dense(p, h, "kb", "bb"), d.flat("b"), Reduction::Mean);
    let s = p.vector("s");
    let weights = (-s.clone()).exp();
    weights.clone().narrow(0, 0, 1) * a + weights.narrow(0, 1, 1) * b + s.sum()
}

fn w3(p: &Params, d: &Data) -> Tensor<1> {
    let valid = || ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
    let h = relu(conv2d(d.images("x"), p.kernel("c1"), Some(p.vector("e1")), valid()));
    let h = relu(conv2d(h, p.kernel("c2"), Some(p.vector("e2")), valid()));
    let h: Tensor<2> = max_pool2d(h, MaxPoolOptions::new([2, 2])).permute([0, 2, 3, 1]).flatten(1, 3);
    let h = relu(dense(p, h, "k1", "b1"));
    let class = cross_entropy(dense(p, h.clone(), "ka", "ba"), d.labels("a"));
    let corners = sigmoid(dense(p, h, "kb", "bb"));
    class + HuberLossConfig::new(1.0).init().forward(corners, d.flat("b"), Reduction::Mean) * 0.5
}

/// Convolution as TensorFlow pads it.
fn same(x: Tensor<4>, kernel: Tensor<4>, stride: usize) -> Tensor<4> {
    let side = kernel.dims()[3];
    let padding = match (side, stride) {
        (1, _) => (0, 0),
        (_, 1) => (1, 1),
        _ => (0, 1),
    };
    let mut options = ConvOptions::new([stride; 2], [0, 0], [1, 1], 1);
    options.padding = [padding; 2];
    conv2d(x, kernel, None, options)
}

fn w4(p: &Params, d: &Data) -> Tensor<1> {
    let norm = |x: Tensor<4>, part: &str| {
        batch_norm_train(x, p.vector(&format!("g{part}")), p.vector(&format!("h{part}")), 1e-5).output
    };
    let mut h = relu(norm(same(d.images("x"), p.kernel("c0"), 1), "0"));
    for (i, stride) in [(1, 1), (2, 2), (3, 2)] {
        let y = relu(norm(same(h.clone(), p.kernel(&format!("c{i}a")), stride), &format!("{i}a")));
        let y = norm(same(y, p.kernel(&format!("c{i}b")), 1), &format!("{i}b"));
        let shortcut = match p.kernels.get(&format!("s{i}")) {
            Some(kernel) => same(h, kernel.clone(), stride),
            None => h,
        };
        h = relu(y + shortcut);
    }
    let h: Tensor<2> = h.mean_dims(&[2, 3]).flatten(1, 3);
    let class = cross_entropy(dense(p, h.clone(), "ka", "ba"), d.labels("a"));
    let logits = dense(p, h, "kb", "bb");
    class + (softplus(logits.clone(), 1.0) - logits * d.flat("b")).mean() * 0.5
}

fn w5(p: &Params, d: &Data) -> Tensor<1> {
    let tokens = d.tokens("x");
    let [n, t] = tokens.dims();
    let norm = |x: Tensor<3>, part: &str| {
        layer_norm(x, p.vector(&format!("g{part}")), Some(p.vector(&format!("h{part}"))), 1e-5)
    };
    let mut x = embedding(p.matrix("tok"), tokens) + p.matrix("pos").unsqueeze::<3>();
    for i in [1, 2] {
        let h = norm(x.clone(), &format!("{i}a"));
        let heads = |m: &str| {
            let all = dense(p, h.clone(), &format!("{m}{i}"), &format!("{m}b{i}"));
            all.reshape([n, t, 4, 32]).swap_dims(1, 2)
        };
        let o = attention(heads("q"), heads("k"), heads("v"), None, None, Default::default());
        let o = o.swap_dims(1, 2).reshape([n, t, 128]);
        x = x + dense(p, o, &format!("o{i}"), &format!("ob{i}"));
        let h = norm(x.clone(), &format!("{i}b"));
        let h = gelu_approximate(dense(p, h, &format!("u{i}"), &format!("ub{i}")));
        x = x + dense(p, h, &format!("w{i}"), &format!("wb{i}"));
    }
    let x = norm(x, "f");
    let tokens = cross_entropy(dense(p, x.clone(), "ka", "ba").reshape([n * t, 16]), d.labels("a"));
    tokens + cross_entropy(dense(p, x.mean_dim(1).squeeze_dim(1), "kb", "bb"), d.labels("b"))
}
