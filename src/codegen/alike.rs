//! Kernels that are the same but for their names and buffers: layers of the same size are compiled once.
//!
//! In: a program. Out: a text for each kernel. Invariant: kernels of one text have the same code, whatever their program.

use super::kernel::table;
use crate::base::both::each;
use crate::loops::ir::*;

/// Equal texts for equal kernels: all that the code depends on. A kernel's buffers are those of its table, in order.
pub(super) fn texts(program: &Program) -> Vec<String> {
    each(program.kernels.len(), || (), |(), number| text(program, &program.kernels[number]))
}

fn text(program: &Program, kernel: &Kernel) -> String {
    let buffers = table(kernel);
    let local = |b: &mut BufferId| {
        let place = buffers.iter().position(|known| known == b);
        *b = BufferId(place.unwrap_or_else(|| panic!("invariant broken: a kernel's table has all its buffers")) as u32);
    };
    let mut kernel = Kernel { name: String::new(), ..kernel.clone() };
    for inst in &mut kernel.insts {
        if let Inst::Load { buffer, .. } = inst {
            local(buffer);
        }
    }
    stores(&mut kernel.body, &local);
    let types: Vec<_> = buffers.iter().map(|b| &program.buffers[b.0 as usize]).map(|b| (b.dtype, &b.shape)).collect();
    format!("{} {types:?} {kernel:?}", program.symbols.len())
}

fn stores(body: &mut [Stmt], local: &dyn Fn(&mut BufferId)) {
    for stmt in body {
        match stmt {
            Stmt::Let(_) => {}
            Stmt::Store { buffer, .. } => local(buffer),
            Stmt::Loop(inner) => stores(&mut inner.body, local),
        }
    }
}
