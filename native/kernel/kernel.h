/* The margin kernel: exact integers over one risk table. src/straddle/core/kernel_reference.py is its definition, number for number and error for error.
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

extern PyTypeObject table_type, exposure_type;

/* numbers.c. Functions that read return 0, or -1 with an exception set. */
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

/* requirement.c */
PyObject *kernel_requirement(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *kernel_sweep(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* For methods that take an exact number of positional arguments. */
int check_count(const char *function, Py_ssize_t count, Py_ssize_t expected);

#endif
