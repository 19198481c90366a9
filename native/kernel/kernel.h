/* The kernel: exact integers over one risk table, and orders that come to rest. src/straddle/core/kernel_reference.py is its definition, number for number and
 * error for error.
 *
 * Why nothing overflows 128 bits. Values, deltas and charges are below 2^39, sizes below 2^40, margin factors below 2^16, rows at most 2^12: what the positions
 * of an account come to stays below 2^108. Open lots of one side of an instrument are below 2^60: BPS times all charges stays below 2^125. Cash is at most
 * 2^96: BPS times it stays below 2^110. What open orders reserve is checked against 2^126. A surplus has one of each, below 2^127.
 */
#ifndef STRADDLE_KERNEL_H
#define STRADDLE_KERNEL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

#define BPS 10000
#define PATHS 49 /* path 0 is the table as it is, path 1 + s is scenario s */
#define ROWS_MAX (1 << 12)
#define INSTRUMENT_MAX INT64_C(0xffffffff)
#define FACTOR_MAX INT64_C(0xffff)
#define SIZE_LOTS_MAX ((INT64_C(1) << 40) - 1)
#define TICKS_MAX ((INT64_C(1) << 39) - 1)
#define NET_TICKS_MAX ((INT64_C(1) << 48) - 1)
#define OPEN_LOTS_MAX ((INT64_C(1) << 60) - 1)
#define LEGS_MAX 4
#define RATIO_MAX 127

typedef struct {
    int64_t instrument, value, mark, long_im, long_mm, short_im, short_mm;
    int64_t largest_delta;
    bool linear;
    int64_t deltas[PATHS]; /* the first is 0 */
} Row;

typedef struct {
    PyObject_VAR_HEAD /* the number of rows */
    Row rows[];       /* ascending by instrument */
} Table;

typedef struct {
    const Row *row;
    int64_t size;
} Position;

typedef struct {
    const Row *row;
    int64_t size, buys, sells; /* held, in open buy orders, in open sell orders: not all 0 */
} Entry;

/* What a cap keeps of an exposure (cap.c): by path, times BPS. */
typedef struct {
    int128 price[PATHS], beyond[PATHS];
} Prices;

typedef struct {
    PyObject_HEAD
    Table *table;
    int64_t k_im;
    Prices *prices; /* NULL until a cap is asked for */
    Py_ssize_t count, capacity;
    Entry *entries;                          /* ascending by instrument */
    int128 value, charges, extra;            /* sum q V; C_im; what open orders could add to it */
    int128 paths[PATHS], reserved[PATHS];    /* k_im * sum q D; what open orders lose; both times BPS */
} Exposure;

extern PyTypeObject table_type, exposure_type, cap_type, order_codec_type, quotes_type;

/* numbers.c. Functions that read return 0, or -1 with an exception set. */
/* Whether an object (NULL is none) is an integer of 64 bits and no bool, which is then in `out`; no exception is set. */
static inline bool is_int(PyObject *object, int64_t *out)
{
    int overflow;
    if (!object || !PyLong_Check(object) || PyBool_Check(object))
        return false;
    *out = PyLong_AsLongLongAndOverflow(object, &overflow);
    return !overflow;
}
/* The same of one in 0 .. 2^64 - 1. */
bool is_word(PyObject *object, uint64_t *out);
int read_int(PyObject *object, const char *name, int64_t low, int64_t high, int64_t *out);
int read_cash(PyObject *object, int128 *out);
PyObject *object_from_wide(int128 value);

/* table.c */
int check_table(PyObject *object);
/* The row of an instrument, NULL with KeyError when the table lacks it. */
const Row *find_row(const Table *table, PyObject *instrument);
/* The linear charge of a position, of whatever size. */
static inline int128 charge(int128 size, int64_t rate_long, int64_t rate_short) { return size > 0 ? size * rate_long : -size * rate_short; }
static inline int128 charge_im(const Row *row, int128 size) { return charge(size, row->long_im, row->short_im); }
static inline int128 charge_mm(const Row *row, int128 size) { return charge(size, row->long_mm, row->short_mm); }

/* exposure.c */
typedef struct {
    const Row *row;
    int64_t ratio;
} Leg;

/* The number of legs of an order, or -1 with an exception set. */
int read_legs(const Table *table, PyObject *given, Leg *legs);

/* Whether a total lies outside -2^126 .. 2^126 - 1: one bit. */
static inline uint64_t is_beyond(int128 total) { return (uint64_t)(((uint128)total + ((uint128)1 << 126)) >> 127); }

/* An open outright order on one lot a unit: limit and worst fee of a unit, and how many are open. */
typedef struct {
    int64_t limit, fee, units;
} Open;

/* What an exposure would become. */
typedef struct {
    Entry entry;
    Py_ssize_t instruments;
    int128 surplus; /* `reserved_surplus_scaled`, or `capped_bound_scaled` where that is at least 0 */
    int128 reserved[PATHS], beyond[PATHS];
} Change;

/* What `added` in place of `taken` (no units of it: beside what is there) would lead to, orders on one instrument and side, sign +1 or -1, whose numbers are
   those of orders; whether that is within bounds. `most`: lots that may fill, -1 for any. */
bool plan_change(const Exposure *self, const Row *row, int64_t sign, const Open *taken, const Open *added, int128 cash, int64_t most, Change *change);
/* Makes it so. It cannot fail after `make_room(self, 1)`. */
void make_change(Exposure *self, const Change *change);
/* Room for `more` new entries; -1 with an exception set. */
int make_room(Exposure *self, Py_ssize_t more);

/* cap.c */
/* An order, for one unit of it. */
typedef struct {
    Leg legs[LEGS_MAX];
    int leg_count;
    int64_t sign, lots, units; /* lots over all legs */
    int128 base;               /* what it loses at the mark, charge and fee included, times BPS */
} Terms;

void make_terms(Terms *terms, int64_t sign, int64_t limit, int64_t fee, int64_t units);
/* Adds what an order (fewer units of it when they are negative) may lose beyond the prices; whether that is within bounds. */
bool add_beyond(const Exposure *self, const Terms *terms, int128 *beyond);
/* `capped_bound_scaled` with these sums. */
int128 capped_bound(const Exposure *self, int128 cash, int64_t most, const int128 *beyond);

/* orders.c */
/* The slots of an order, by their places in a shape. */
enum { NONCE, REVISION, EXPIRY_MS, SIZE_LOTS, LIMIT_TICKS, LEGS, SIDE, FEE_CAP, FLAGS };
extern const char *const order_slots[];
/* The instrument and the ratio of a leg, borrowed; false for an object that is no pair. */
static inline bool leg_of(PyObject *leg, PyObject **instrument, PyObject **ratio)
{
    if (!PyTuple_Check(leg) || PyTuple_GET_SIZE(leg) != 2)
        return false;
    *instrument = PyTuple_GET_ITEM(leg, 0);
    *ratio = PyTuple_GET_ITEM(leg, 1);
    return true;
}

/* slots.c */
#define SLOTS_MAX 12

/* A class of Python with __slots__, and where its objects keep some of them. */
typedef struct {
    PyTypeObject *type;
    Py_ssize_t offsets[SLOTS_MAX];
} Shape;

/* Finds the slots of a class by name, as many as there are names before a NULL; -1 with an exception set when it has no such slot. `whole`: it has no others. */
int find_shape(PyObject *type, const char *const *names, bool whole, Shape *shape);
/* A new object with these values in its slots, in the order of the names of a whole shape; NULL with an exception set. */
PyObject *make_object(const Shape *shape, PyObject *const *values, int count);

/* What a slot of an object holds, borrowed; NULL where it was never set. The object must be of the shape's type. */
static inline PyObject *slot_of(const Shape *shape, PyObject *object, int slot) { return *(PyObject **)((char *)object + shape->offsets[slot]); }

/* requirement.c */
PyObject *kernel_requirement(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *kernel_sweep(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* For methods that take an exact number of positional arguments. */
int check_count(const char *function, Py_ssize_t count, Py_ssize_t expected);

#endif
