//! T1 to T17: shapes, types, and what a run needs.

use super::catalogue::{Case, check, model, run};

pub fn cases() -> Vec<Case> {
    let mut cases = limits();
    cases.extend(types());
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
