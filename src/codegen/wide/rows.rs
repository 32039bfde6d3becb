//! The vector instructions, a row each.
//!
//! In: nothing. Out: names and encodings. Invariant: a row's fields are those of the opcode tables in volume 2 of Intel's
//! "Architectures Software Developer's Manual".

/// Which fields of an instruction hold its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// result = reg, first input = vvvv, last input = r/m
    Three,
    /// result = reg, input = r/m
    Two,
    /// input = reg, result = r/m
    Store,
    /// result = vvvv, input = r/m, the row's `extension` = reg
    Shift,
}

#[derive(PartialEq, Eq, Debug)]
pub struct Row {
    pub name: &'static str,
    pub form: Form,
    /// The mandatory prefix: none, 66, F3, F2.
    pub prefix: u8,
    /// The opcode map: 0F, 0F38, 0F3A.
    pub map: u8,
    pub opcode: u8,
    pub extension: u8,
    /// A memory operand of this many bytes; 0: as many as the vector has.
    pub element: u8,
    /// The result is the first input's register.
    pub accumulates: bool,
}

const fn row(name: &'static str, form: Form, prefix: u8, map: u8, opcode: u8) -> Row {
    Row { name, form, prefix, map, opcode, extension: 0, element: 0, accumulates: false }
}

macro_rules! rows {
    ($($id:ident = $row:expr;)*) => {
        $(pub static $id: Row = $row;)*
    };
}

rows! {
    ADD = row("vaddps", Form::Three, 0, 1, 0x58);
    MUL = row("vmulps", Form::Three, 0, 1, 0x59);
    SUB = row("vsubps", Form::Three, 0, 1, 0x5C);
    MIN = row("vminps", Form::Three, 0, 1, 0x5D);
    DIV = row("vdivps", Form::Three, 0, 1, 0x5E);
    MAX = row("vmaxps", Form::Three, 0, 1, 0x5F);
    SQRT = row("vsqrtps", Form::Two, 0, 1, 0x51);
    ROUND = row("vroundps", Form::Two, 1, 3, 0x08);
    FMA231 = Row { accumulates: true, ..row("vfmadd231ps", Form::Three, 1, 2, 0xB8) };
    FMA213 = Row { accumulates: true, ..row("vfmadd213ps", Form::Three, 1, 2, 0xA8) };
    LOAD = row("vmovups", Form::Two, 0, 1, 0x10);
    STORE = row("vmovups", Form::Store, 0, 1, 0x11);
    LOAD_ONE = Row { element: 4, ..row("vmovss", Form::Two, 2, 1, 0x10) };
    STORE_ONE = Row { element: 4, ..row("vmovss", Form::Store, 2, 1, 0x11) };
    COPY = row("vmovaps", Form::Two, 0, 1, 0x28);
    LOAD_MASKED = row("vmaskmovps", Form::Three, 1, 2, 0x2C);
    STORE_MASKED = row("vmaskmovps", Form::Three, 1, 2, 0x2E);
    SPLAT = Row { element: 4, ..row("vbroadcastss", Form::Two, 1, 2, 0x18) };
    IADD = row("vpaddd", Form::Three, 1, 1, 0xFE);
    ISUB = row("vpsubd", Form::Three, 1, 1, 0xFA);
    IMUL = row("vpmulld", Form::Three, 1, 2, 0x40);
    UMIN = row("vpminud", Form::Three, 1, 2, 0x3B);
    AND = row("vpand", Form::Three, 1, 1, 0xDB);
    OR = row("vpor", Form::Three, 1, 1, 0xEB);
    XOR = row("vpxor", Form::Three, 1, 1, 0xEF);
    SHL = Row { extension: 6, ..row("vpslld", Form::Shift, 1, 1, 0x72) };
    SHR = Row { extension: 2, ..row("vpsrld", Form::Shift, 1, 1, 0x72) };
    SAR = Row { extension: 4, ..row("vpsrad", Form::Shift, 1, 1, 0x72) };
    UNPACK_LOW = row("vunpcklps", Form::Three, 0, 1, 0x14);
    UNPACK_HIGH = row("vunpckhps", Form::Three, 0, 1, 0x15);
    SHUFFLE = row("vshufps", Form::Three, 0, 1, 0xC6);
    SHUFFLE_QUARTERS = row("vshuff32x4", Form::Three, 1, 3, 0x23);
    SHUFFLE_HALVES = row("vperm2f128", Form::Three, 1, 3, 0x06);
    TO_REAL = row("vcvtdq2ps", Form::Two, 0, 1, 0x5B);
    TO_INTEGER = row("vcvttps2dq", Form::Two, 2, 1, 0x5B);
    // Only inside the instructions of `Op` that are several of the machine's.
    COMPARE = row("vcmpps", Form::Three, 0, 1, 0xC2);
    COMPARE_EQUAL = row("vpcmpeqd", Form::Three, 1, 1, 0x76);
    COMPARE_GREATER = row("vpcmpgtd", Form::Three, 1, 1, 0x66);
    COMPARE_SIGNED = row("vpcmpd", Form::Three, 1, 3, 0x1F);
    COMPARE_UNSIGNED = row("vpcmpud", Form::Three, 1, 3, 0x1E);
    BLEND_BY_SIGN = row("vblendvps", Form::Three, 1, 3, 0x4A);
    BLEND_BY_NUMBER = row("vblendps", Form::Three, 1, 3, 0x0C);
    BLEND_BY_MASK = row("vblendmps", Form::Three, 1, 2, 0x65);
    MASK_TO_VECTOR = row("vpmovm2d", Form::Two, 2, 2, 0x38);
    VECTOR_TO_MASK = row("vpmovd2m", Form::Two, 2, 2, 0x39);
    TERNARY = Row { accumulates: true, ..row("vpternlogd", Form::Three, 1, 3, 0x25) };
    QUARTER = row("vextractf32x4", Form::Store, 1, 3, 0x19);
    PERMUTE = row("vpermilps", Form::Two, 1, 3, 0x04);
    FROM_NUMBER = row("vmovd", Form::Two, 1, 1, 0x6E);
    TO_NUMBER = row("vmovd", Form::Store, 1, 1, 0x7E);
    SPLAT_NUMBER = row("vpbroadcastd", Form::Two, 1, 2, 0x7C);
    SIGN_BITS = row("vmovmskps", Form::Two, 0, 1, 0x50);
}
