//! `candle_step WORKLOAD DATA_FOLDER`: candle on one workload, by the protocol of the peers.
//!
//! Written as a user of candle would write it: convolutions in its own order of axes, losses and optimizers from
//! `candle_nn` where it has them.

use anabranch_compare::protocol::serve;
use anabranch_compare::workload;
use candle_core::{D, Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, SGD, loss, ops};
use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;

type Result<T> = candle_core::Result<T>;
type Named = BTreeMap<String, Tensor>;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (name, folder) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
    let batch = workload(&name).ok_or("no such workload")?.batch;
    let objective = match name.as_str() {
        "w1" => w1,
        "w2" => w2,
        "w3" => w3,
        "w4" => w4,
        "w5" => w5,
        _ => return Err("candle has no second derivatives".into()),
    };
    let (data, params) = read(&format!("{folder}/{name}.npz"))?;
    let vars: BTreeMap<String, Var> =
        params.iter().map(|(name, value)| Ok((name.clone(), Var::from_tensor(value)?))).collect::<Result<_>>()?;
    let mut optimizer = Update::new(&name, &vars)?;
    let params: Named = vars.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let rows = data.values().next().ok_or("no data")?.dim(0)?;
    let mut step = 0;
    serve("candle", &name, || {
        let first = step * batch % rows;
        step += 1;
        let part: Named =
            data.iter().map(|(name, all)| Ok((name.clone(), all.narrow(0, first, batch)?))).collect::<Result<_>>()?;
        let total = objective(&params, &part)?;
        optimizer.step(&total)?;
        if let Some(alpha) = vars.get("alpha") {
            alpha.set(&alpha.as_tensor().clamp(0f32, 1f32)?)?;
        }
        Ok(f64::from(total.to_scalar::<f32>()?))
    })
}

/// The data and the first params; kernels of convolutions in candle's order.
fn read(path: &str) -> std::result::Result<(Named, Named), Box<dyn Error>> {
    let mut archive = NpzReader::new(File::open(path)?)?;
    let (mut data, mut params) = (Named::new(), Named::new());
    for entry in archive.names()? {
        let floats: std::result::Result<ArrayD<f32>, _> = archive.by_name::<OwnedRepr<f32>, IxDyn>(&entry);
        let tensor = match floats {
            Ok(array) => {
                let shape = array.shape().to_vec();
                Tensor::from_vec(array.into_raw_vec_and_offset().0, shape, &Device::Cpu)?
            }
            Err(_) => {
                let array: ArrayD<i32> = archive.by_name::<OwnedRepr<i32>, IxDyn>(&entry)?;
                let shape = array.shape().to_vec();
                let values: Vec<u32> = array.iter().map(|value| *value as u32).collect();
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
        };
        let entry = entry.trim_end_matches(".npy");
        if let Some(name) = entry.strip_prefix("data/") {
            data.insert(name.to_string(), tensor);
        } else if let Some(name) = entry.strip_prefix("param/") {
            let tensor = if tensor.rank() == 4 { tensor.permute((3, 2, 0, 1))?.contiguous()? } else { tensor };
            params.insert(name.to_string(), tensor);
        }
    }
    Ok((data, params))
}

enum Update {
    Plain(SGD),
    Momentum(Vec<(Var, Tensor)>),
    Adam(AdamW),
}

impl Update {
    fn new(workload: &str, vars: &BTreeMap<String, Var>) -> Result<Self> {
        let all: Vec<Var> = vars.values().cloned().collect();
        let adam = ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..ParamsAdamW::default() };
        Ok(match workload {
            "w1" => Update::Plain(SGD::new(all, 0.01)?),
            "w3" => {
                let with_zeros = |var: Var| Ok((var.clone(), var.as_tensor().zeros_like()?));
                Update::Momentum(all.into_iter().map(with_zeros).collect::<Result<_>>()?)
            }
            "w5" => Update::Adam(AdamW::new(all, ParamsAdamW { lr: 3e-4, weight_decay: 0.01, ..adam })?),
            _ => Update::Adam(AdamW::new(all, adam)?),
        })
    }

    fn step(&mut self, total: &Tensor) -> Result<()> {
        match self {
            Update::Plain(sgd) => sgd.backward_step(total),
            Update::Adam(adam) => adam.backward_step(total),
            Update::Momentum(vars) => {
                let gradients = total.backward()?;
                for (var, velocity) in vars {
                    let Some(gradient) = gradients.get(var) else { continue };
                    *velocity = ((&*velocity * 0.9)? + gradient)?;
                    var.set(&(var.as_tensor() - (&*velocity * 0.01)?)?)?;
                }
                Ok(())
            }
        }
    }
}

fn dense(p: &Named, x: &Tensor, kernel: &str, bias: &str) -> Result<Tensor> {
    x.broadcast_matmul(&p[kernel])?.broadcast_add(&p[bias])
}

fn binary_cross_entropy(target: &Tensor, probability: &Tensor) -> Result<Tensor> {
    let q = probability.clamp(1e-7f32, 1f32 - 1e-7)?;
    let positive = (target * q.log()?)?;
    let negative = ((1.0 - target)? * (1.0 - &q)?.log()?)?;
    (positive + negative)?.neg()
}

fn biased(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.broadcast_add(&bias.reshape((1, (), 1, 1))?)
}

fn w1(p: &Named, d: &Named) -> Result<Tensor> {
    let x = d["x"].permute((0, 3, 1, 2))?.contiguous()?;
    let boxes = ops::sigmoid(&biased(&x.conv2d(&p["ck"], 0, 1, 1, 1)?, &p["cb"])?)?.permute((0, 2, 3, 1))?;
    let classes = ops::sigmoid(&dense(p, &d["x"].flatten_from(1)?, "dk", "db")?)?;
    let b = binary_cross_entropy(&d["box"], &boxes)?.flatten_from(1)?.mean(1)?;
    let c = binary_cross_entropy(&d["cls"], &classes)?.mean(1)?;
    let alpha = &p["alpha"];
    let fixed = alpha.detach();
    let weighted = b.detach().broadcast_mul(alpha)?;
    let gap = (weighted - c.detach().broadcast_mul(&(1.0 - alpha)?)?)?.sqr()?;
    ((gap + b.broadcast_mul(&fixed)?)? + c.broadcast_mul(&(1.0 - &fixed)?)?)?.mean_all()
}

fn w2(p: &Named, d: &Named) -> Result<Tensor> {
    let h = dense(p, &d["x"], "k1", "b1")?.relu()?;
    let h = dense(p, &h, "k2", "b2")?.relu()?;
    let a = loss::cross_entropy(&dense(p, &h, "ka", "ba")?, &d["a"])?;
    let b = loss::mse(&dense(p, &h, "kb", "bb")?, &d["b"])?;
    let weights = p["s"].neg()?.exp()?;
    ((weights.get(0)? * a)? + (weights.get(1)? * b)?)? + p["s"].sum_all()?
}

fn w3(p: &Named, d: &Named) -> Result<Tensor> {
    let x = d["x"].permute((0, 3, 1, 2))?.contiguous()?;
    let h = biased(&x.conv2d(&p["c1"], 0, 1, 1, 1)?, &p["e1"])?.relu()?;
    let h = biased(&h.conv2d(&p["c2"], 0, 1, 1, 1)?, &p["e2"])?.relu()?.max_pool2d(2)?;
    let h = h.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?;
    let h = dense(p, &h, "k1", "b1")?.relu()?;
    let class = loss::cross_entropy(&dense(p, &h, "ka", "ba")?, &d["a"])?;
    // Both corners lie within 1 of each other, so Huber's loss is half the square.
    let corners = ops::sigmoid(&dense(p, &h, "kb", "bb")?)?;
    class + (loss::mse(&corners, &d["b"])? * 0.25)?
}

/// Convolution as TensorFlow pads it.
fn same(x: &Tensor, kernel: &Tensor, stride: usize) -> Result<Tensor> {
    let side = kernel.dim(3)?;
    if stride == 1 || side == 1 {
        return x.conv2d(kernel, side / 2, stride, 1, 1);
    }
    x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.conv2d(kernel, 0, stride, 1, 1)
}

/// Batch statistics over all but the channels.
fn batch_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
    let mean = |x: &Tensor| x.mean_keepdim(0)?.mean_keepdim(2)?.mean_keepdim(3);
    let centred = x.broadcast_sub(&mean(x)?)?;
    let deviation = (mean(&centred.sqr()?)? + 1e-5)?.sqrt()?;
    biased(&centred.broadcast_div(&deviation)?.broadcast_mul(&gamma.reshape((1, (), 1, 1))?)?, beta)
}

fn w4(p: &Named, d: &Named) -> Result<Tensor> {
    let x = d["x"].permute((0, 3, 1, 2))?.contiguous()?;
    let mut h = batch_norm(&same(&x, &p["c0"], 1)?, &p["g0"], &p["h0"])?.relu()?;
    for (i, stride) in [(1, 1), (2, 2), (3, 2)] {
        let norm = |x: &Tensor, half: &str| batch_norm(x, &p[&format!("g{i}{half}")], &p[&format!("h{i}{half}")]);
        let y = norm(&same(&h, &p[&format!("c{i}a")], stride)?, "a")?.relu()?;
        let y = norm(&same(&y, &p[&format!("c{i}b")], 1)?, "b")?;
        let shortcut = match p.get(&format!("s{i}")) {
            Some(kernel) => same(&h, kernel, stride)?,
            None => h.clone(),
        };
        h = (y + shortcut)?.relu()?;
    }
    let h = h.mean(3)?.mean(2)?;
    let class = loss::cross_entropy(&dense(p, &h, "ka", "ba")?, &d["a"])?;
    class + (loss::binary_cross_entropy_with_logit(&dense(p, &h, "kb", "bb")?, &d["b"])? * 0.5)?
}

fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?;
    centred.broadcast_div(&deviation)?.broadcast_mul(gamma)?.broadcast_add(beta)
}

fn w5(p: &Named, d: &Named) -> Result<Tensor> {
    let (n, t) = d["x"].dims2()?;
    let embedded = p["tok"].index_select(&d["x"].flatten_all()?, 0)?.reshape((n, t, 128))?;
    let mut x = embedded.broadcast_add(&p["pos"])?;
    for i in [1, 2] {
        let h = layer_norm(&x, &p[&format!("g{i}a")], &p[&format!("h{i}a")])?;
        let heads = |m: &str| {
            dense(p, &h, &format!("{m}{i}"), &format!("{m}b{i}"))?.reshape((n, t, 4, 32))?.transpose(1, 2)?.contiguous()
        };
        let (q, k, v) = (heads("q")?, heads("k")?, heads("v")?);
        let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? / 32f64.sqrt())?;
        let o = ops::softmax(&scores, D::Minus1)?.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((n, t, 128))?;
        x = (x + dense(p, &o, &format!("o{i}"), &format!("ob{i}"))?)?;
        let h = layer_norm(&x, &p[&format!("g{i}b")], &p[&format!("h{i}b")])?;
        let h = dense(p, &h, &format!("u{i}"), &format!("ub{i}"))?.gelu()?;
        x = (x + dense(p, &h, &format!("w{i}"), &format!("wb{i}"))?)?;
    }
    let x = layer_norm(&x, &p["gf"], &p["hf"])?;
    let tokens = loss::cross_entropy(&dense(p, &x, "ka", "ba")?.flatten(0, 1)?, &d["a"].flatten_all()?)?;
    tokens + loss::cross_entropy(&dense(p, &x.mean(1)?, "kb", "bb")?, &d["b"])?
}
