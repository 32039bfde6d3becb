//! T1 to T17: shapes, types, and what a run needs.

use super::catalogue::{Case, check, model, run};

pub fn cases() -> Vec<Case> {
    let mut cases = limits();
    cases.extend(types());
    cases.extend(windows());
    cases.extend(settings());
    cases.extend(padding());
    cases.extend(attention());
    cases.extend(batches());
    cases
}

/// A model that trains on a table of two numbers and a class.
fn trained(body: &str) -> String {
    model(body)
        .replace(
            "d = given { x: [6]; y: class(3) }",
            "d = csv(\"t.csv\") { x: [2] = columns(1..2); y: class(2) = column(3) }",
        )
        .replace("x: [6] -> logits[3]", "x: [2] -> logits[2]")
}

const TABLE: &[u8] = b"a,b,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n";

fn limits() -> Vec<Case> {
    let train = |number, exit, says: &[&'static str], args: &[&'static str], body: &str| {
        run(number, exit, says, args, &[("m.nn", trained(body).as_bytes()), ("t.csv", TABLE)])
    };
    let plain = ["run", "m.nn"];
    let small = ["run", "m.nn", "--memory-limit", "1MiB"];
    // 30 times 40000 · 40000 weights with two states each: 540 GiB
    let huge = format!("x -> dense(40000){} -> dense(2)", " -> dense(40000)".repeat(30));
    let deep = format!("x{} -> dense(2)", " -> dense(2) -> tanh".repeat(300));
    let table = "the largest tensors:";
    vec![
        train(
            "T5",
            8,
            &["E0803", "m.nn:5:7", "GiB of memory", table, "f32[40000, 40000]", "6.0 GiB", "--memory-limit"],
            &plain,
            &huge,
        ),
        train(
            "T5",
            8,
            &["E0803", "the limit is 1.0 MiB", table, "dense2.weight"],
            &small,
            "x -> dense(1000) -> dense(1000) -> dense(2)",
        ),
        train("T5", 0, &["epoch 3/3"], &["run", "m.nn", "--memory-limit", "1GiB"], "x -> dense(8) -> dense(2)"),
        train("T5", 2, &["--memory-limit", "2GiB"], &["run", "m.nn", "--memory-limit", "lots"], "x -> dense(2)"),
        train("T17", 0, &["epoch 3/3"], &plain, &deep),
        train("T17", 0, &["epoch 3/3"], &plain, &format!("x{} -> dense(2)", " + x".repeat(20_000))),
    ]
}

fn types() -> Vec<Case> {
    let flat = |body: &str| model(body).replace("x: [6]", "x: [28, 28, 1]");
    let target = |field: &str, body: &str| model(body).replace("y: class(3)", field);
    let two = "op two(out)  x: [.., D] -> y: [.., out] {\n  param w: [out, D] = glorot_uniform\n  param u: [out] = zeros\n  \
               y[.., o] = sum[d](x[.., d] * w[o, d])\n}\n";
    let argmax = "op first  x: [D] -> y: [D] {\n  param w: [D] = ones\n  y = w * real(argmax(x * w))\n}\n";
    let ints = "fn f x, y { x + y }\n";
    vec![
        check(
            "T1",
            3,
            &["E0301", "m.nn:5:3", "[8]", "[4]"],
            model("a = x -> dense(8)\n  b = x -> dense(4)\n  a + b -> dense(3)"),
        ),
        check("T1", 3, &["E0301", "m.nn:3:5", "`m` needs 3, gets 4", "write `3`"], model("x -> dense(4)")),
        check("T2", 3, &["E0302", "m.nn:3:5", "[28, 28, 3]", "flatten"], flat("x -> dense(3)")),
        check(
            "T3",
            3,
            &["E0303", "m.nn:3:14", "a dimension cannot be 0", "whole number from 1"],
            model("x -> dense(0)"),
        ),
        check("T3", 3, &["E0303", "m.nn:3:14", "a dimension cannot be -1"], model("x -> dense(-1)")),
        check(
            "T3",
            3,
            &["E0303", "m.nn:3:14", "a dimension cannot be 1.5", "whole number from 1"],
            model("x -> dense(1.5)"),
        ),
        check("T4", 3, &["E0304", "m.nn:3:", "elements"], model("x -> dense(9007199254740991) -> dense(3)")),
        check(
            "T4",
            3,
            &["E0304", "m.nn:3:", "elements"],
            model("x -> dense(4294967296) -> dense(4294967296) -> dense(3)"),
        ),
        check(
            "T4",
            3,
            &["E0304", "m.nn:3:24", "[70000, 70000] has 4900000000 elements, at most 2147483647 can be random"],
            model("x -> dense(70000) -> dense(70000) -> dense(3)"),
        ),
        check("T8", 3, &["E0307", "m.nn:3:", "`reshape`"], model("x -> reshape([4, 2]) -> flatten -> dense(3)")),
        check(
            "T8",
            3,
            &["E0307", "m.nn:3:", "one axis, not two"],
            model("x -> reshape([_, _]) -> flatten -> dense(3)"),
        ),
        check(
            "T9",
            3,
            &["E0308", "m.nn:3:", "no axis 5", "axes are counted"],
            model("x -> softmax(axis = 5) -> dense(3)"),
        ),
        check(
            "T10",
            3,
            &["E0309", "m.nn:3:", "do not fit together"],
            model("(x + (x -> flatten)) -> flatten -> dense(3)").replace("[6]", "[2, 3]"),
        ),
        check("T11", 3, &["E0310", "m.nn:6:", "class", "soft_"], target("y: [3]", "x -> dense(3)")),
        check(
            "T11",
            3,
            &["E0310", "m.nn:6:", "class"],
            model("x -> dense(3)").replace("loss = cross_entropy", "loss = soft_cross_entropy"),
        ),
        check("T12", 3, &["E0311", "m.nn:"], format!("{ints}{}", model("x -> dense(3)").replace("cross_entropy", "f"))),
        check("T14", 3, &["E0312", "argmax"], format!("{argmax}{}", model("x -> first -> dense(3)"))),
        check(
            "T15",
            0,
            &["W0202", "m.nn:3:9", "the loss does not depend on `two.u`"],
            format!("{two}{}", model("x -> two(3)")),
        ),
        check("T15", 0, &["W0202", "m.nn:3:7", "`f.weight`"], model("f = dense(6)\n  side = x -> f\n  x -> dense(3)")),
    ]
}

/// T6 and T7: windows that do not fit, and what is left after several.
fn windows() -> Vec<Case> {
    let case = |number, says: &[&'static str], body: &str| {
        let all = [says, &["m.nn:"]].concat();
        check(number, 3, &all, model(&format!("{body} -> flatten -> dense(3)")).replace("x: [6]", "x: [8, 8, 2]"))
    };
    let step = "windows go on by a whole number of elements from 1, not by";
    vec![
        case(
            "T6",
            &["E0305", "a window of 9 does not fit an axis of 8", "needs 9, has 8", "[8, 8, 2] here", "pad = same"],
            "x -> conv(4, 9)",
        ),
        case(
            "T6",
            &["E0305", "a window of 11 does not fit an axis of 8 with 1 before and 1 behind it", "pad = [same, same]"],
            "x -> conv(4, [11, 3], pad = [1, same])",
        ),
        case("T6", &["E0305", "needs 9, has 8", "pad = same"], "x -> maxpool(9)"),
        case("T6", &["E0305", "over 9 elements does not fit", "needs 9, has 8"], "x -> conv(4, 5, dilation = 2)"),
        case("T6", &["E0105", "a number for `stride` of `conv`"], "x -> conv(4, 3, stride = [1, true])"),
        case("T6", &["E0305", step, "not by 0", "stride = 1"], "x -> conv(4, 3, stride = 0)"),
        case("T6", &["E0305", step, "not by 0", "stride = [1, 1]"], "x -> conv(4, 3, stride = [1, 0])"),
        case("T6", &["E0305", step, "not by 1.5"], "x -> maxpool(2, stride = 1.5)"),
        case("T6", &["E0305", step, "not by 0", "stride = 1"], "x -> conv_transpose(4, 3, stride = 0)"),
        case("T6", &["E0305", step, "not by 0", "dilation = 1"], "x -> conv(4, 3, dilation = 0)"),
        case("T6", &["E0305", step, "not by -1", "dilation = 1"], "x -> maxpool(2, dilation = -1)"),
        case(
            "T6",
            &["E0110", "2 channels and 4 new ones", "into 3 groups", "C is 2 here", "groups is 3 here", "write `2`"],
            "x -> conv(4, 3, groups = 3)",
        ),
        case("T6", &["E0110", "whole number from 1", "groups is 0 here"], "x -> conv(4, 3, groups = 0)"),
        case("T6", &["E0303", "a dimension cannot be 0"], "x -> conv(4, 0)"),
        case("T6", &["E0303", "a dimension cannot be -2"], "x -> maxpool(-2)"),
        case(
            "T7",
            &[
                "E0306",
                "nothing is left: a window of 2",
                "[8, 8, 2] → [6, 6, 4] → [3, 3, 4] → [1, 1, 8]",
                "needs 2, has 1",
                "strides",
            ],
            "x -> conv(4, 3) -> relu -> maxpool(2) -> conv(8, 3)\n  -> maxpool(2) -> conv(8, 3)",
        ),
        case(
            "T7",
            &["E0306", "a window of 3 does not fit an axis of 2", "[4, 4, 4] → [2, 2, 4]", "pad = same"],
            "x -> repeat(4) { conv(4, 3) -> relu }",
        ),
        case(
            "T7",
            &["E0306", "nothing is left of 10 elements", "both sides together may take away 9"],
            "x -> conv_transpose(4, 3, pad = 5)",
        ),
        case(
            "T9",
            &["E0106", "m.nn:3:31", "`C` is not defined", "as `x: [H, W, C]`", "`[2, 0, 1]` is the order C, H, W"],
            "x -> conv(4, 3) -> flatten([C, H, W])",
        ),
    ]
}

/// Settings that no layer can have: each with its number, and with what it may be.
fn settings() -> Vec<Case> {
    let case = |code, says: &[&'static str], body: &str| {
        let all = [&[code, "m.nn:3:"], says].concat();
        let text = model(&format!("{body} -> flatten -> dense(3)")).replace("x: [6]", "x: [8, 8, 2]");
        check("T6", 3, &all, text)
    };
    let margin = "a number from 0, `before .. behind`, or `same`";
    vec![
        case("E0305", &["wholly in its margin", "5 before, 5 behind", "write `1`"], "x -> maxpool(2, pad = 5)"),
        case("E0305", &["wholly in its margin", "pad = [1, 2]"], "x -> maxpool(3, pad = [1, 5])"),
        case("E0305", &["window 6 of an axis", "0 before, 6 behind"], "x -> maxpool(3, stride = 2, pad = 0 .. 6)"),
        case("E0110", &["smaller than the windows", "pad is 3 here", "k is 3 here"], "x -> avgpool(3, pad = 3)"),
        case("E0110", &[margin, "pad is -1 here"], "x -> maxpool(2, pad = -1)"),
        case("E0110", &[margin, "pad is -4 here"], "x -> conv(4, 3, pad = -4)"),
        case("E0110", &[margin, "pad is -1 here"], "x -> conv(4, 3, pad = [same, -1])"),
        case("E0110", &["groups is 0.5 here", "whole number from 1"], "x -> conv(4, 3, groups = 0.5)"),
        case("E0110", &["groups is -1 here", "whole number from 1"], "x -> conv(4, 3, groups = -1)"),
        case("E0110", &["groups is -1 here", "whole number from 1"], "x -> groupnorm(-1)"),
        case("E0110", &["times is 0 here", "whole number from 1"], "x -> depthwise(3, times = 0)"),
        case("E0110", &["a number above 0", "eps is -1 here"], "x -> layernorm(eps = -1)"),
        case("E0110", &["a number above 0", "eps is -1 here"], "x -> rmsnorm(eps = -1)"),
        case("E0110", &["a number above 0", "eps is -1 here"], "x -> batchnorm(eps = -1)"),
        case("E0110", &["from 0 to 1", "momentum is 2 here"], "x -> batchnorm(momentum = 2)"),
        case("E0110", &["which is 2", "extra is 2 here"], "x -> conv_transpose(4, 3, stride = 2, extra = 2)"),
        case("E0110", &["a number above 0", "eps is 0 here"], "x -> groupnorm(2, eps = 0)"),
        case("E0110", &["from 0, and not both 0", "k is -1 here"], "x -> local_norm(3, k = -1)"),
        case("E0110", &["infinite `fill`", "m.nn:3:8"], "x -> conv(4, 3, pad = 1, fill = -inf)"),
        case("E0109", &["must be other than 0"], "x -> avgpool(2, divisor = 0)"),
        case(
            "E0305",
            &["`reflect` fills a margin of at most 7 here, not of 8"],
            "x -> conv(4, 3, pad = 8, fill = reflect)",
        ),
        case("E0305", &["`circular` fills", "needs 9, has 8"], "x -> conv(4, 3, pad = 9, fill = circular)"),
        case("E0105", &["`reflect`, `replicate` or `circular`"], "x -> conv(4, 3, fill = same)"),
        case("E0308", &["an axis stands twice in this order of [8, 8, 2]"], "x -> flatten([0, 1, 1])"),
        case("E0308", &["an axis is left out of this order", "2 of 3 axes"], "x -> flatten([0, 1])"),
        case("E0302", &["`conv1d` takes [T, C], gets [2]", "[2] here"], "x -> global_avgpool -> conv1d(4, 1)"),
        case("E0109", &["the number of parts must be a whole number from 1, not 0"], "split(x, 0) -> add"),
        case("E0109", &["`sqrt` of -1 is no number"], "sqrt(-1) * x"),
        case("E0109", &["the right side of `/` must be other than 0"], "x / 0"),
        case("E0105", &["a kept layer before `.weight`"], "x -> embedding_transposed(3)"),
    ]
}

/// Rows whose steps end in padding: windows, and all that moves steps, would take padding for steps.
fn padding() -> Vec<Case> {
    let case = |exit, says: &[&'static str], before: &str, body: &str| {
        let data = "csv(\"t.csv\") { t: token(V)[6] = column(\"a\") -> words -> pad(6); y: class(2) = column(\"y\") }";
        let text = format!("{before}{}", trained(&format!("x = t -> embedding(4)\n  {body} -> dense(2)")))
            .replace("csv(\"t.csv\") { x: [2] = columns(1..2); y: class(2) = column(3) }", data)
            .replace("m  x: [2]", "m  t: token(V)[T]");
        run("T6", exit, says, &["run", "m.nn"], &[("m.nn", text.as_bytes()), ("t.csv", b"a,y\nx y z,0\nz,1\n")])
    };
    let spread = "op spread  x: [T, D] -> y: [_, D] {\n  param w: [3] = ones\n  y[2 * t + u, d] = x[t, d] * w[u]\n}\n";
    let moved = "op moved  x: [T, D] -> y: [_, D] { y[t, d] = x[t + 1, d] }\n";
    let says = ["E0313", "m.nn:", "mix steps with padding", "along T", "mean(x, axis = T)"];
    vec![
        case(3, &says, "", "x -> conv1d(4, 3) -> attend(3)"),
        case(3, &says, "", "x -> conv1d(4, 3, pad = same) -> attend(3)"),
        case(3, &says, "", "x -> flatten"),
        case(3, &says, spread, "x -> spread -> attend(3)"),
        case(3, &says, moved, "x -> moved -> attend(3)"),
        case(3, &says, "", "take(x, 5 - index(x, 0), 0) -> attend(3)"),
        case(0, &["epoch 3/3", "of 1 to 3 steps"], "", "x -> local_norm(3) -> attend(3)"),
    ]
}

/// Impossible heads, widths and masks: each size with the place where it was born.
fn attention() -> Vec<Case> {
    let case = |says: &[&'static str], body: &str| {
        let text = model(&format!("{body} -> flatten -> dense(3)")).replace("x: [6]", "x: [4, 12]");
        check("T1", 3, says, text)
    };
    let two = "q = x -> dense(8)\n  k = x -> dense(6)\n  ";
    vec![
        case(
            &["E0110", "m.nn:3:8", "multiple of", "D is 12 here", "heads is 5 here", "write `4`"],
            "x -> attention(5)",
        ),
        case(
            &["E0110", "m.nn:3:21", "D is 10 here", "heads is 4 here", "write `5`"],
            "x -> dense(10) -> encoder_layer(4, 16)",
        ),
        case(
            &["E0301", "m.nn:5:3", "needs D = 8, gets 6", "[4, 8] here", "[4, 6] here"],
            &format!("{two}dot_attention(q, k, k)"),
        ),
        case(
            &["E0301", "m.nn:5:3", "needs S = 4, gets 3", "[4, 8] here", "[3, 8] here"],
            &format!("{two}dot_attention(q, q, x -> conv1d(8, 2))"),
        ),
        case(
            &["E0309", "m.nn:4:3", "[5] and [4, 12] do not fit together", "matched from the right", "[4, 12] here"],
            "m = index(x -> dense(5), 1) == 0\n  softmax(x, mask = m)",
        ),
        case(
            &["E0302", "m.nn:3:19", "`attention` takes [T, D], gets [48]", "[48] here"],
            "x -> flatten -> attention(2)",
        ),
        case(&["E0110", "m.nn:3:8", "layers is 1.5 here"], "x -> lstm(3, layers = 1.5)"),
        case(&["E0110", "m.nn:3:8", "`all`, `last` or `states`"], "x -> lstm(3, give = none)"),
        case(&["E0301", "m.nn:2:10", "carries `h` as [3]", "this is [4, 12]"], "x -> gru(3, h0 = x)"),
    ]
}

/// T16: the last batch, none, and one row.
fn batches() -> Vec<Case> {
    let rows =
        |n: usize| "a,b,y\n".to_string() + &(0..n).map(|i| format!("{i},{},{}\n", i % 3, i % 2)).collect::<String>();
    let case = |exit, says: &[&'static str], batch: &str, n: usize, body: &str| {
        let text = trained(body).replace("  stop = 3 epochs", &format!("  batch = {batch}\n  stop = 3 epochs"));
        run("T16", exit, says, &["run", "m.nn"], &[("m.nn", text.as_bytes()), ("t.csv", rows(n).as_bytes())])
    };
    let norm = "x -> dense(4) -> batchnorm -> dense(2)";
    let whole = "must be a whole number from 1";
    vec![
        case(0, &["3 epochs, 9 steps"], "4", 10, "x -> dense(2)"),
        case(0, &["3 epochs, 3 steps"], "11", 10, "x -> dense(2)"),
        case(3, &["E0109", "m.nn:8:11", whole, "not 0"], "0", 10, "x -> dense(2)"),
        case(3, &["E0109", "m.nn:8:11", whole, "not -1"], "-1", 10, "x -> dense(2)"),
        case(4, &["E0403", "t.csv"], "4", 0, "x -> dense(2)"),
        case(0, &["3 epochs, 30 steps"], "1", 10, "x -> dense(2)"),
        case(0, &["W0204", "m.nn:3:20", "a batch is one row", "2 or more", "3 epochs, 30 steps"], "1", 10, norm),
        case(
            0,
            &["W0204", "m.nn:3:20", "of 10 rows in batches of 3, the last batch has one", "3 epochs, 12 steps"],
            "3",
            10,
            norm,
        ),
    ]
}
