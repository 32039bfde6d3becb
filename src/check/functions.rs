//! The built-in functions: what the library is written with and cannot say itself.
//!
//! In: nothing. Out: their names, what they take, and what they give. Invariant: the list is closed; layers, losses and
//! optimizers are not in it.

pub struct Function {
    pub name: &'static str,
    pub takes: &'static str,
    pub gives: &'static str,
}

const fn function(name: &'static str, takes: &'static str, gives: &'static str) -> Function {
    Function { name, takes, gives }
}

pub const FUNCTIONS: [Function; 44] = [
    function("neg", "x", "-x."),
    function("abs", "x", "|x|."),
    function("sign", "x", "-1, 0 or 1."),
    function("floor", "x", "The greatest whole number that is not above x."),
    function("sqrt", "x", "The square root."),
    function("exp", "x", "e to the power of x."),
    function("log", "x", "The natural logarithm."),
    function("sin", "x", "sin x, for x in radians."),
    function("cos", "x", "cos x, for x in radians."),
    function("tanh", "x", "The hyperbolic tangent."),
    function("erf", "x", "The error function."),
    function("rsqrt", "x", "1 / sqrt(x)."),
    function("not", "x", "True where x is false."),
    function(
        "sum",
        "x, axis = none, keep = false",
        "The sum along an axis, or over an example. In equations `sum[d](…)`.",
    ),
    function(
        "mean",
        "x, axis = none, keep = false",
        "The mean along an axis, or over an example. In equations `mean[d](…)`.",
    ),
    function(
        "max",
        "x, axis = none, keep = false",
        "The greatest element along an axis; `max(a, b)` is the greater of two, `max(a .. b)` that of a range.",
    ),
    function(
        "min",
        "x, axis = none, keep = false",
        "The least element along an axis; `min(a, b)` is the lesser of two, `min(a .. b)` that of a range.",
    ),
    function("select", "condition, a, b", "a where the condition holds, else b."),
    function("argmax", "x, axis = -1", "The place of the greatest element along an axis, as a class."),
    function("real", "x", "Indices as numbers."),
    function("stop_gradient", "x", "x, without a gradient."),
    function("surrogate", "x, other", "x, with the gradient that `other` would have in its place."),
    function("reshape", "x, [A, B, _]", "The same elements under other axes; `_` is worked out."),
    function("permute", "x, A, B, C", "The axes in another order, by name or by number."),
    function("join", "xs, axis", "Several tensors as one, along an axis."),
    function("split", "x, n, axis", "n equal parts along an axis."),
    function("added", "xs", "The sum of several tensors."),
    function("iterate", "body, n, x", "The body n times over, with new weights each time."),
    function("branches", "body, x", "Each statement of the body applied to x: a list."),
    function("total", "x", "The sum of all elements of a batch, or of all weights."),
    function("random", "x", "Uniform numbers from 0 up to 1, one for each element of x, new ones each step."),
    function("uniform", "a, b", "First values of a `param`: uniform from a to b."),
    function("normal", "mean, deviation", "First values of a `param`: normally distributed."),
    function("table", "[1, 2, 3]", "A list of numbers as a tensor of one axis."),
    function("pow", "a, b", "a to the power of b, as `a ^ b`."),
    function("count", "x", "The number of elements of an example."),
    function("index", "x, axis", "0, 1, … along an axis of x."),
    function("gather", "table, rows", "A row of the table for each class or token."),
    function("present", "x, axis", "Which steps along an axis are no padding, or `none`."),
    function("take", "x, places, axis", "The elements of an axis at `places`; beyond its ends, those at the ends."),
    function("pair", "k", "Two values; one stands for both."),
    function(
        "pad",
        "x, value",
        "In an index, what is read outside of x: `pad(x, 0)[i - 1]`; a number, `reflect`, `replicate` or `circular`.",
    ),
    function("keep", "layer, name, …", "A layer that keeps its weights under the joined name."),
    function("backward", "body, x", "The body with every scan in it turned round."),
];
