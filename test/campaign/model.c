/*
 * model.c
 *		The workload and what it must leave behind.
 */
#include "campaign.h"

#include <string.h>

uint64_t
mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

bool
make_vector(uint32_t version, float out[DIM])
{
	for (int i = 0; i < DIM; i++)
		out[i] = (float) (int) (mix((uint64_t) version * DIM + (uint64_t) i) % 1001) - 500;
	return version != 0;
}

/* ---------- steps ---------- */

static int
draw(uint64_t *state, int below)
{
	*state = mix(*state);
	return (int) (*state % (uint64_t) below);
}

static void
make_op(Op *op, uint64_t *state)
{
	static const OpKind kinds[] = {OP_INSERT, OP_INSERT, OP_REPLACE, OP_REPLACE, OP_DELETE,   OP_DELETE_RANGE,
								   OP_UPDATE, OP_UPDATE, OP_MOVE,    OP_NAME,    OP_ADD,      OP_ADD,
								   OP_ADD,    OP_DEL,    OP_INSERT,  OP_REPLACE, OP_SAVEPOINT};

	op->kind = kinds[draw(state, sizeof(kinds) / sizeof(kinds[0]))];
	op->a = 1 + draw(state, IDS - 1);
	op->b = op->kind == OP_DELETE_RANGE ? op->a + draw(state, 6)
			: op->kind == OP_MOVE       ? 1 + draw(state, IDS - 1)
										: 1 + draw(state, NAMES - 1);
	op->version = draw(state, 20) == 0 && op->kind != OP_ADD ? 0 : (uint32_t) (mix(*state) >> 33) + 1;
}

void
step_make(Step *step, StepKind kind, long number, uint64_t seed)
{
	uint64_t state = mix(seed ^ mix((uint64_t) number));

	memset(step, 0, sizeof(*step));
	step->kind = kind;
	step->number = number;
	if (kind != STEP_DML && kind != STEP_ROLLBACK)
		return;
	step->op_count = draw(&state, 10) == 0 ? OPS - 1 : 1 + draw(&state, 12);
	for (int i = 0, open = -1; i < step->op_count; i++)
	{
		make_op(&step->ops[i], &state);
		/* one savepoint at a time, and each is rolled back to or forgotten at the end */
		if (open >= 0 && i > open + 2 && draw(&state, 3) == 0)
		{
			step->ops[i].kind = OP_ROLLBACK_TO;
			open = -1;
		}
		else if (step->ops[i].kind == OP_SAVEPOINT)
		{
			if (open >= 0)
				step->ops[i].kind = OP_UPDATE;
			else
				open = i;
		}
	}
}

void
step_random(Step *step, const Model *model, long number, uint64_t seed)
{
	int dice = (int) (mix(mix(seed) + (uint64_t) number) % 100);
	StepKind kind = dice < 60   ? STEP_DML
					: dice < 66 ? STEP_ROLLBACK
					: dice < 82 ? STEP_SAVE
					: dice < 85 ? STEP_REBUILD
					: dice < 91 ? STEP_RENAME
					: dice < 96 ? STEP_DROP
								: STEP_VACUUM;

	if (!model->exists && (kind == STEP_DROP || kind == STEP_RENAME || kind == STEP_REBUILD))
		kind = STEP_CREATE;
	step_make(step, kind, number, seed);
}

const char *
model_index(const Model *model)
{
	return model->second ? "vss_b" : "vss_a";
}

/* ---------- what it must leave ---------- */

static void
delete_name(Model *model, int name)
{
	for (int i = 1; i < IDS; i++)
		if (model->documents[i].name == name)
			memset(&model->documents[i], 0, sizeof(Row));
}

static bool
name_taken(const Model *model, int name)
{
	for (int i = 1; i < IDS; i++)
		if (model->documents[i].name == name)
			return true;
	return false;
}

static void
put(Model *model, int id, Row row)
{
	delete_name(model, row.name);
	model->documents[id] = row;
}

static void
apply_op(Model *model, const Op *op)
{
	Row *row = &model->documents[op->a];
	Row copy = *row;

	switch (op->kind)
	{
		case OP_INSERT:
			if (row->name == 0 && !name_taken(model, op->b))
				put(model, op->a, (Row){op->b, op->version});
			break;
		case OP_REPLACE:
			put(model, op->a, (Row){op->b, op->version});
			break;
		case OP_DELETE:
			memset(row, 0, sizeof(*row));
			break;
		case OP_DELETE_RANGE:
			for (int i = op->a; i <= op->b && i < IDS; i++)
				memset(&model->documents[i], 0, sizeof(Row));
			break;
		case OP_UPDATE:
			if (row->name != 0)
				row->version = op->version;
			break;
		case OP_MOVE:
			if (row->name != 0)
			{
				memset(row, 0, sizeof(*row));
				model->documents[op->b] = copy;
			}
			break;
		case OP_NAME:
			if (row->name != 0)
			{
				copy.name = op->b;
				delete_name(model, op->b);
				model->documents[op->a] = copy;
			}
			break;
		case OP_ADD:
			model->plain[op->a] = op->version;
			break;
		case OP_DEL:
			model->plain[op->a] = 0;
			break;
		default:
			break;
	}
}

void
model_apply(Model *model, const Step *step)
{
	Model saved = *model;

	switch (step->kind)
	{
		case STEP_DML:
			for (int i = 0; i < step->op_count; i++)
			{
				if (step->ops[i].kind == OP_SAVEPOINT)
					saved = *model;
				else if (step->ops[i].kind == OP_ROLLBACK_TO)
					*model = saved;
				else
					apply_op(model, &step->ops[i]);
			}
			break;
		case STEP_RENAME:
			model->second = !model->second;
			break;
		case STEP_DROP:
			model->exists = false;
			break;
		case STEP_CREATE:
			model->exists = true;
			break;
		default:
			return;
	}
	model->number = step->number;
}
