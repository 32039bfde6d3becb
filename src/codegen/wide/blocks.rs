//! Blocks and branches.
//!
//! In: the blocks of a function. Out: their instructions in the order of the function's layout. Invariant: a branch has no
//! arguments and each of its targets no other predecessor, as the register allocator demands; a block of one jump stands
//! between where it would.

use super::inst::*;
use super::select::{Operands, Selector};
use crate::codegen::pseudo::{self, Pseudo};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{self, InstructionData, Opcode, Value};
use regalloc2::{Block as Place, RegClass};

/// What becomes of the function's blocks.
struct Plan {
    /// The place of each block.
    places: SecondaryMap<ir::Block, Option<Place>>,
    predecessors: SecondaryMap<ir::Block, u32>,
    count: usize,
}

fn survey(selector: &Selector<'_>) -> Plan {
    let func = selector.func;
    let mut plan = Plan { places: SecondaryMap::new(), predecessors: SecondaryMap::new(), count: 0 };
    for block in func.layout.blocks() {
        plan.places[block] = Some(Place::new(plan.count));
        plan.count += 1;
        if let Some(last) = func.layout.last_inst(block) {
            match &func.dfg.insts[last] {
                InstructionData::Jump { destination, .. } => {
                    plan.predecessors[destination.block(&func.dfg.value_lists)] += 1;
                }
                InstructionData::Brif { blocks, .. } => {
                    plan.count += 2;
                    for call in blocks {
                        plan.predecessors[call.block(&func.dfg.value_lists)] += 1;
                    }
                }
                _ => {}
            }
        }
    }
    plan
}

/// Selects all blocks, the last first, and puts them into the code in order.
pub fn select_blocks(selector: &mut Selector<'_>) {
    let plan = survey(selector);
    let func = selector.func;
    let mut made: Vec<(Block, Vec<Inst>)> = Vec::new();
    for block in func.layout.blocks().collect::<Vec<_>>().into_iter().rev() {
        made.extend(select_block(selector, &plan, block));
    }
    made.reverse();
    for (mut block, insts) in made {
        let start = selector.code.insts.len() as u32;
        selector.code.insts.extend(insts);
        block.insts = start..selector.code.insts.len() as u32;
        selector.code.blocks.push(block);
    }
    for place in 0..selector.code.blocks.len() {
        for succ in selector.code.blocks[place].succs.clone() {
            selector.code.blocks[succ.index()].preds.push(Place::new(place));
        }
    }
}

/// The block and the blocks of its edges, the last first.
fn select_block(selector: &mut Selector<'_>, plan: &Plan, block: ir::Block) -> Vec<(Block, Vec<Inst>)> {
    let func = selector.func;
    let lists = &func.dfg.value_lists;
    let place = |b: ir::Block| plan.places[b].unwrap_or_else(|| panic!("invariant broken: {b} is in the layout"));
    let mut out = Vec::new();
    let mut own = Block::default();
    let mut reversed: Vec<Inst> = Vec::new();
    for inst in func.layout.block_insts(block).collect::<Vec<_>>().into_iter().rev() {
        selector.at = Some(inst);
        match &func.dfg.insts[inst] {
            InstructionData::Jump { destination, .. } => {
                let args: Vec<Value> = destination.args(lists).filter_map(|a| a.as_value()).collect();
                own.args = args.into_iter().map(|a| selector.reg(a)).collect();
                own.succs = vec![place(destination.block(lists))];
                selector.push(Op::Jump, Operands::default());
            }
            InstructionData::Brif { arg, blocks, .. } => {
                // Constants that an edge hands on are made on the edge.
                let mut edges = Vec::new();
                for call in blocks {
                    let args: Vec<Value> = call.args(lists).filter_map(|a| a.as_value()).collect();
                    let args = args.into_iter().map(|a| selector.reg(a)).collect();
                    selector.push(Op::Jump, Operands::default());
                    let edge = Block { args, succs: vec![place(call.block(lists))], ..Block::default() };
                    edges.push((edge, selector.take_sequence()));
                }
                out.extend(edges.into_iter().rev());
                let (condition, reads) = selector.condition(*arg);
                selector.push(Op::Branch(condition), reads.into_iter().fold(Operands::default(), Operands::read));
                let here = place(block).index();
                own.succs = vec![Place::new(here + 1), Place::new(here + 2)];
            }
            InstructionData::MultiAry { opcode: Opcode::Return, .. } => selector.push(Op::Return, Operands::default()),
            data => select_inst(selector, inst, data),
        }
        reversed.extend(selector.take_sequence().into_iter().rev());
    }
    let params = func.dfg.block_params(block).to_vec();
    if func.layout.entry_block() == Some(block) {
        selector.parameters(&params);
        reversed.extend(selector.take_sequence().into_iter().rev());
    } else {
        own.params = params.into_iter().map(|p| selector.reg(p)).collect();
    }
    reversed.reverse();
    out.push((own, reversed));
    out
}

fn select_inst(selector: &mut Selector<'_>, inst: ir::Inst, data: &InstructionData) {
    if let InstructionData::Call { func_ref, .. } = data {
        return match pseudo::find(selector.func, *func_ref) {
            Some(Pseudo::Transpose) => selector.transpose(inst),
            Some(Pseudo::MaskedLoad) => selector.load_masked(inst),
            Some(Pseudo::MaskedStore) => selector.store_masked(inst),
            None => panic!("invariant broken: a kernel of the wide back end calls no function"),
        };
    }
    let result = selector.func.dfg.inst_results(inst).first().copied();
    let asked = result.and_then(|value| Some((value, selector.asked(value)?)));
    if result.is_some() && asked.is_none() {
        return;
    }
    match asked {
        Some((value, to)) if Selector::class(selector.ty(value)) == RegClass::Float => {
            selector.vector(inst, data, value, to)
        }
        _ => selector.integer(inst, data, asked),
    }
}
