//! PyTorch's operators, losses and optimizers in the words of the library.
//!
//! In: an operator's name and its attributes. Out: a call as text. Invariant: the table speaks of operators and attributes
//! only; an attribute that it does not have is named, never dropped.

use serde_json::Value;
use std::collections::BTreeMap;

/// How one of PyTorch's attributes is said in the library.
pub enum Setting {
    /// Theirs, ours, their default: a number or a truth value.
    As(&'static str, &'static str, f64),
    Flag(&'static str, &'static str, bool),
    /// Theirs, ours, their default, and the words for each of their values.
    Word(&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// A number, or one per axis; a word stays a word. Theirs, ours, their default.
    Sizes(&'static str, &'static str, &'static str),
    /// An attribute with another than this value is another operator.
    Only(&'static str, &'static str),
    /// A pair: theirs, ours, their defaults.
    Pair(&'static str, [&'static str; 2], [f64; 2]),
    /// Theirs and ours: a number that need not be given.
    Given(&'static str, &'static str),
    /// A row that need not be given, below 0 counted from the end: theirs, ours, the number of rows.
    Row(&'static str, &'static str, &'static str),
    /// Theirs and ours: an axis, counted with the batch.
    Axis(&'static str, &'static str),
    /// With this flag set, another call and more text in its parentheses.
    Instead(&'static str, &'static str, &'static str),
    /// Said by the shapes, or without effect on values, or read where the case is built.
    Known(&'static str),
}

use Setting::*;

/// The form in which the reference has an operator's axes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// The batch, then the axes of an example.
    Plain,
    /// As `Plain`, and the axes of `normalized_shape` count as one.
    Normalised,
    /// Classes stand behind the batch: `[N, C, d1, …]`.
    ClassSecond,
    /// Channels stand behind the batch, and filters have their inputs in the second place.
    ChannelsSecond,
    /// Without a reduction every element stands for itself.
    Pointwise,
}

/// What a loss with `reduction = "mean"` divides its sum by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mean {
    /// The sum of the weights of all values that the loss gives.
    Values,
    /// The number of elements of the first input.
    Elements,
}

pub struct Entry {
    pub op: &'static str,
    /// The call; for a loss with its inputs.
    pub call: &'static str,
    pub inputs: &'static [&'static str],
    pub settings: &'static [Setting],
    pub layout: Layout,
    /// A loss has one.
    pub mean: Option<Mean>,
    /// The axes that an example has at least: with more, the first input is a batch.
    pub least: usize,
    /// Inputs that may be missing, and the settings that take them.
    pub more: &'static [(&'static str, &'static str)],
}

const fn op(op: &'static str, call: &'static str, settings: &'static [Setting]) -> Entry {
    Entry { op, call, inputs: &["x"], settings, layout: Layout::Plain, mean: None, least: 1, more: &[] }
}

const fn norm(op_: &'static str, call: &'static str, settings: &'static [Setting]) -> Entry {
    Entry { layout: Layout::Normalised, ..op(op_, call, settings) }
}

const fn loss(op_: &'static str, call: &'static str, settings: &'static [Setting]) -> Entry {
    Entry { inputs: &["x", "target"], mean: Some(Mean::Values), ..op(op_, call, settings) }
}

const fn picture(op_: &'static str, call: &'static str, settings: &'static [Setting]) -> Entry {
    Entry { layout: Layout::ChannelsSecond, ..op(op_, call, settings) }
}

const CONV: &[Setting] = &[
    As("out_channels", "out", f64::NAN),
    Known("in_channels"),
    Sizes("kernel_size", "k", ""),
    Sizes("stride", "stride", "1"),
    Sizes("padding", "pad", "0"),
    Sizes("dilation", "dilation", "1"),
    As("groups", "groups", 1.0),
    Flag("bias", "bias", true),
    Word("padding_mode", "fill", "zeros", FILLS),
];
const FILLS: &[(&str, &str)] =
    &[("zeros", "0"), ("reflect", "reflect"), ("replicate", "replicate"), ("circular", "circular")];
const REDUCTION: Setting = Known("reduction");
const DENSE: &[Setting] = &[As("out_features", "out", f64::NAN), Known("in_features"), Flag("bias", "bias", true)];
/// `d_in`, `embed_dim`, `kdim` and `vdim` are what the inputs have.
const HEADS: &[Setting] = &[
    As("num_heads", "heads", f64::NAN),
    Known("embed_dim"),
    Known("kdim"),
    Known("vdim"),
    Flag("causal", "causal", false),
    Flag("bias", "bias", true),
    Known("batch_first"),
];
const IGNORE: &[(&str, &str)] = &[("key_padding_mask", "ignore")];
const GELU: &[(&str, &str)] = &[("none", "true"), ("tanh", "false")];

pub const OPERATORS: &[Entry] = &[
    op("dense", "dense", DENSE),
    picture("conv1d", "conv1d", CONV),
    picture("conv2d", "conv", CONV),
    picture(
        "conv_transpose2d",
        "conv_transpose",
        &[
            As("out_channels", "out", f64::NAN),
            Known("in_channels"),
            Sizes("kernel_size", "k", ""),
            Sizes("stride", "stride", "1"),
            Sizes("padding", "pad", "0"),
            Sizes("output_padding", "extra", "0"),
            Sizes("dilation", "dilation", "1"),
            As("groups", "groups", 1.0),
            Flag("bias", "bias", true),
            Only("padding_mode", "zeros"),
        ],
    ),
    picture(
        "max_pool2d",
        "maxpool",
        &[
            Sizes("kernel_size", "k", ""),
            Sizes("stride", "stride", "none"),
            Sizes("padding", "pad", "0"),
            Sizes("dilation", "dilation", "1"),
            Flag("ceil_mode", "ceil", false),
            Only("return_indices", "false"),
        ],
    ),
    picture(
        "avg_pool2d",
        "avgpool",
        &[
            Sizes("kernel_size", "k", ""),
            Sizes("stride", "stride", "none"),
            Sizes("padding", "pad", "0"),
            Flag("ceil_mode", "ceil", false),
            Flag("count_include_pad", "outside", true),
            Given("divisor_override", "divisor"),
        ],
    ),
    picture(
        "batchnorm",
        "batchnorm",
        &[
            As("momentum", "momentum", 0.1),
            As("eps", "eps", 1e-5),
            Known("num_features"),
            Known("affine"),
            Known("train"),
            Flag("track_running_stats", "tracked", true),
        ],
    ),
    picture(
        "groupnorm",
        "groupnorm",
        &[As("num_groups", "groups", f64::NAN), As("eps", "eps", 1e-5), Known("num_channels"), Known("affine")],
    ),
    picture(
        "lrn",
        "local_norm",
        &[As("size", "size", f64::NAN), As("alpha", "alpha", 1e-4), As("beta", "beta", 0.75), As("k", "k", 1.0)],
    ),
    picture("global_avg_pool", "global_avgpool", &[]),
    picture("global_max_pool", "global_maxpool", &[]),
    op("relu", "relu", &[Known("inplace")]),
    op("relu6", "relu6", &[Known("inplace")]),
    op("leaky_relu", "leaky_relu", &[As("negative_slope", "slope", 0.01), Known("inplace")]),
    op("elu", "elu", &[As("alpha", "alpha", 1.0), Known("inplace")]),
    op("selu", "selu", &[Known("inplace")]),
    op("gelu", "gelu", &[Word("approximate", "exact", "none", GELU)]),
    op("silu", "silu", &[Known("inplace")]),
    op("sigmoid", "sigmoid", &[]),
    op("tanh", "tanh", &[]),
    op("softplus", "softplus", &[As("beta", "beta", 1.0), As("threshold", "threshold", 20.0)]),
    op("softsign", "softsign", &[]),
    op("mish", "mish", &[Known("inplace")]),
    op("hardswish", "hardswish", &[Known("inplace")]),
    op("hardsigmoid", "hardsigmoid", &[Known("inplace")]),
    op("softmax", "softmax", &[Axis("dim", "axis")]),
    op("log_softmax", "log_softmax", &[Axis("dim", "axis")]),
    norm(
        "layernorm",
        "layernorm",
        &[As("eps", "eps", 1e-5), Known("normalized_shape"), Known("elementwise_affine"), Known("bias")],
    ),
    // Without an eps PyTorch takes the machine's; the references are of f64.
    norm(
        "rmsnorm",
        "rmsnorm",
        &[As("eps", "eps", f64::EPSILON), Known("normalized_shape"), Known("elementwise_affine")],
    ),
    Entry {
        inputs: &["ids"],
        least: 0,
        ..op(
            "embedding",
            "embedding",
            &[
                As("embedding_dim", "width", f64::NAN),
                Known("num_embeddings"),
                Row("padding_idx", "padding", "num_embeddings"),
                Known("sparse"),
            ],
        )
    },
    Entry {
        inputs: &["q", "k", "v"],
        least: 2,
        more: IGNORE,
        ..op("dot_attention", "dot_attention", &[Given("scale", "scale"), Flag("causal", "causal", false)])
    },
    Entry {
        least: 2,
        ..op(
            "self_attention",
            "self_attention",
            &[As("d", "width", f64::NAN), Known("d_in"), Flag("causal", "causal", false)],
        )
    },
    Entry {
        inputs: &["h", "q"],
        least: 2,
        ..op("additive_attention", "additive_attention", &[As("hidden", "units", f64::NAN)])
    },
    Entry { least: 2, more: IGNORE, ..op("multihead_attention", "attention", HEADS) },
    Entry { inputs: &["q", "k", "v"], least: 2, more: IGNORE, ..op("multihead_attention", "cross_attention", HEADS) },
    loss("mse", "mse", &[REDUCTION]),
    loss("mae", "mae", &[REDUCTION]),
    loss("huber", "huber", &[As("delta", "delta", 1.0), REDUCTION]),
    loss("smooth_l1", "smooth_l1", &[As("beta", "beta", 1.0), REDUCTION]),
    loss("bce", "binary_cross_entropy", &[REDUCTION]),
    loss("bce_with_logits", "binary_cross_entropy_logits", &[REDUCTION]),
    Entry {
        layout: Layout::ClassSecond,
        ..loss(
            "softmax_cross_entropy",
            "cross_entropy",
            &[As("label_smoothing", "smooth", 0.0), As("ignore_index", "ignore", -100.0), REDUCTION],
        )
    },
    Entry { layout: Layout::ClassSecond, ..loss("nll", "nll", &[As("ignore_index", "ignore", -100.0), REDUCTION]) },
    Entry {
        inputs: &["x", "target_probs"],
        layout: Layout::ClassSecond,
        ..loss("softmax_cross_entropy_probs", "soft_cross_entropy", &[])
    },
    Entry {
        layout: Layout::Pointwise,
        mean: Some(Mean::Elements),
        ..loss("kl_div", "kl", &[Flag("log_target", "logs", false), REDUCTION])
    },
    Entry { inputs: &["mu", "logvar"], ..loss("gaussian_kl", "gaussian_kl", &[]) },
    loss("hinge", "hinge", &[As("margin", "margin", 1.0), Flag("squared", "squared", false), REDUCTION]),
];

const fn optimizer(name: &'static str, settings: &'static [Setting]) -> Entry {
    Entry { inputs: &[], ..op(name, name, settings) }
}

const BETAS: Setting = Pair("betas", ["beta1", "beta2"], [0.9, 0.999]);
const EPS: Setting = As("eps", "eps", 1e-8);
const DECAY: Setting = As("weight_decay", "decay", 0.0);
/// How the arithmetic is organised, not what it gives.
const FOREACH: Setting = Known("foreach");
const FUSED: Setting = Known("fused");

pub const OPTIMIZERS: &[Entry] = &[
    optimizer(
        "sgd",
        &[
            As("lr", "lr", 1e-3),
            As("momentum", "momentum", 0.0),
            As("dampening", "dampening", 0.0),
            Flag("nesterov", "nesterov", false),
            DECAY,
            FOREACH,
            FUSED,
        ],
    ),
    optimizer(
        "adagrad",
        &[
            As("lr", "lr", 1e-2),
            As("lr_decay", "lr_decay", 0.0),
            As("initial_accumulator_value", "initial", 0.0),
            As("eps", "eps", 1e-10),
            DECAY,
            FOREACH,
            FUSED,
        ],
    ),
    optimizer("adadelta", &[As("lr", "lr", 1.0), As("rho", "rho", 0.9), As("eps", "eps", 1e-6), DECAY, FOREACH, FUSED]),
    optimizer("adam", &[As("lr", "lr", 1e-3), BETAS, EPS, DECAY, Instead("amsgrad", "amsgrad", ""), FOREACH, FUSED]),
    optimizer(
        "adamw",
        &[
            As("lr", "lr", 1e-3),
            BETAS,
            EPS,
            As("weight_decay", "decay", 1e-2),
            Instead("amsgrad", "amsgrad", "decoupled = true"),
            FOREACH,
            FUSED,
        ],
    ),
    optimizer(
        "rmsprop",
        &[
            As("lr", "lr", 1e-2),
            As("alpha", "alpha", 0.99),
            Flag("centered", "centered", false),
            As("momentum", "momentum", 0.0),
            EPS,
            DECAY,
            FOREACH,
            FUSED,
        ],
    ),
    optimizer(
        "nadam",
        &[
            As("lr", "lr", 2e-3),
            BETAS,
            EPS,
            As("momentum_decay", "psi", 4e-3),
            Flag("decoupled_weight_decay", "decoupled", false),
            DECAY,
            FOREACH,
        ],
    ),
    optimizer(
        "radam",
        &[As("lr", "lr", 1e-3), BETAS, EPS, Flag("decoupled_weight_decay", "decoupled", false), DECAY, FOREACH],
    ),
    optimizer("adamax", &[As("lr", "lr", 2e-3), BETAS, EPS, DECAY, FOREACH]),
    optimizer("lion", &[As("lr", "lr", 1e-4), Pair("betas", ["beta1", "beta2"], [0.9, 0.99]), DECAY]),
];

pub type Attributes = BTreeMap<String, Value>;

pub fn find<'a>(table: &'a [Entry], op: &str) -> Option<&'a Entry> {
    table.iter().find(|e| e.op == op)
}

/// The name to call and the settings in its parentheses; the name of an attribute that has no word here is the error.
/// `rank` is the number of axes with the batch.
pub fn call(entry: &Entry, attributes: &Attributes, rank: usize) -> Result<(String, Vec<String>), String> {
    let (mut name, mut settings) = (entry.call.to_string(), Vec::new());
    if let Some(unknown) = attributes.keys().find(|a| !entry.settings.iter().any(|s| s.theirs() == a.as_str())) {
        return Err(unknown.clone());
    }
    for setting in entry.settings {
        // `None` in PyTorch asks for the default.
        let given = attributes.get(setting.theirs()).filter(|v| !v.is_null());
        let number = |v: &Value| v.as_f64().ok_or_else(|| setting.theirs().to_string());
        match setting {
            As(_, ours, default) => {
                let value = given.map(number).transpose()?.unwrap_or(*default);
                settings.push(format!("{ours} = {value}"));
            }
            Flag(_, ours, default) => {
                let value = given.and_then(Value::as_bool).unwrap_or(*default);
                settings.push(format!("{ours} = {value}"));
            }
            Word(theirs, ours, default, words) => {
                let value = given.and_then(Value::as_str).unwrap_or(default);
                let (_, word) = words.iter().find(|(w, _)| *w == value).ok_or(theirs.to_string())?;
                settings.push(format!("{ours} = {word}"));
            }
            Pair(_, ours, defaults) => {
                for (i, ours) in ours.iter().enumerate() {
                    let value = given.map(|v| number(&v[i])).transpose()?.unwrap_or(defaults[i]);
                    settings.push(format!("{ours} = {value}"));
                }
            }
            Given(_, ours) => {
                if let Some(value) = given.map(number).transpose()? {
                    settings.push(format!("{ours} = {value}"));
                }
            }
            Row(_, ours, rows) => {
                if let Some(row) = given.map(number).transpose()? {
                    let rows = attributes.get(*rows).map(number).transpose()?.ok_or(rows.to_string())?;
                    settings.push(format!("{ours} = {}", if row < 0.0 { rows + row } else { row }));
                }
            }
            Sizes(theirs, ours, default) => {
                let value = match given {
                    None if default.is_empty() => return Err(theirs.to_string()),
                    None => default.to_string(),
                    Some(Value::String(word)) if word == "valid" => "0".to_string(),
                    Some(Value::String(word)) => word.clone(),
                    // One axis may be written as a list of one.
                    Some(Value::Array(list)) if list.len() == 1 => list[0].to_string(),
                    Some(value) => value.to_string(),
                };
                settings.push(format!("{ours} = {value}"));
            }
            Only(theirs, value) => {
                let other = |v: &Value| v.as_str().map_or_else(|| v.to_string(), String::from) != *value;
                if given.is_some_and(other) {
                    return Err(theirs.to_string());
                }
            }
            Axis(theirs, ours) => {
                let axis = axis(given.ok_or(theirs.to_string())?, rank)?;
                settings.push(format!("{ours} = {}", axis.saturating_sub(1)));
            }
            Instead(_, other, more) => {
                if given.and_then(Value::as_bool) == Some(true) {
                    name = other.to_string();
                    settings.extend(Some(more.to_string()).filter(|m| !m.is_empty()));
                }
            }
            Known(_) => {}
        }
    }
    Ok((name, settings))
}

/// An axis counted from the front, the batch included.
pub fn axis(value: &Value, rank: usize) -> Result<usize, String> {
    let axis = value.as_i64().ok_or("an axis is a whole number")?;
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis).ok().filter(|a| *a < rank).ok_or_else(|| format!("axis {axis} of {rank}"))
}

impl Setting {
    pub fn theirs(&self) -> &'static str {
        match self {
            As(n, ..)
            | Flag(n, ..)
            | Word(n, ..)
            | Pair(n, ..)
            | Given(n, _)
            | Row(n, ..)
            | Axis(n, _)
            | Instead(n, ..)
            | Sizes(n, ..)
            | Only(n, _)
            | Known(n) => n,
        }
    }
}
