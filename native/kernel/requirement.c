/* The margin requirement of docs/protocol/margin.md, from scratch: of one account, and of many in one call. */
#include "kernel.h"

typedef struct {
    int128 equity, im_scaled, mm_scaled, settled;
} Valuation;

typedef struct {
    int128 cash;
    size_t first, count; /* its positions */
} Account;

typedef struct {
    Position *items;
    size_t count, capacity;
} Positions;

/* Minus the smallest sum of size * delta over the paths, of which path 0 is 0. */
#define DEFINE_SCAN(name, number)                                            \
    static int128 name(const Position *positions, size_t count)              \
    {                                                                        \
        number totals[PATHS] = {0}, worst = 0;                               \
        for (size_t i = 0; i < count; i++) {                                 \
            const int64_t *deltas = positions[i].row->deltas;                \
            const number size = positions[i].size;                           \
            for (int path = 0; path < PATHS; path++)                         \
                totals[path] += size * deltas[path];                         \
        }                                                                    \
        for (int path = 0; path < PATHS; path++)                             \
            worst = totals[path] < worst ? totals[path] : worst;             \
        return -(int128)worst;                                               \
    }

DEFINE_SCAN(scan_narrow, int64_t)
DEFINE_SCAN(scan_wide, int128)

static Valuation value_account(const Position *positions, size_t count, int128 cash, int64_t k_im, int64_t k_mm)
{
    int128 equity = cash, settled = cash, im = 0, mm = 0, gross = 0;
    for (size_t i = 0; i < count; i++) {
        const Row *row = positions[i].row;
        int64_t size = positions[i].size;
        int128 value = (int128)size * row->value;
        equity += value;
        if (row->linear || size < 0)
            settled += value;
        im += charge_im(row, size);
        mm += charge_mm(row, size);
        gross += (int128)Py_ABS(size) * row->largest_delta;
    }
    /* No partial sum exceeds gross. */
    int128 loss = gross <= INT64_MAX ? scan_narrow(positions, count) : scan_wide(positions, count);
    return (Valuation){equity, k_im * loss + BPS * im, k_mm * loss + BPS * mm, settled};
}

/* Appends what a mapping of instrument to size holds. */
static int read_positions(const Table *table, PyObject *mapping, Positions *positions)
{
    PyObject *held = PyDict_Check(mapping) ? Py_NewRef(mapping) : PyDict_New();
    if (!held || (held != mapping && PyDict_Update(held, mapping))) {
        Py_XDECREF(held);
        return -1;
    }
    int status = 0;
    size_t needed = positions->count + (size_t)PyDict_GET_SIZE(held);
    if (needed >= positions->capacity) {
        size_t capacity = 2 * needed + 1;
        Position *items = PyMem_Realloc(positions->items, capacity * sizeof(Position));
        if (items) {
            positions->items = items;
            positions->capacity = capacity;
        } else {
            PyErr_NoMemory();
            status = -1;
        }
    }
    PyObject *instrument, *size;
    Py_ssize_t place = 0;
    while (!status && PyDict_Next(held, &place, &instrument, &size)) {
        Position *position = &positions->items[positions->count];
        position->row = find_row(table, instrument);
        status = !position->row || read_int(size, "size", -SIZE_LOTS_MAX, SIZE_LOTS_MAX, &position->size) ? -1 : 0;
        positions->count++;
    }
    Py_DECREF(held);
    return status;
}

static PyObject *object_from_valuation(const Valuation *valued)
{
    PyObject *result = PyTuple_New(4);
    const int128 values[] = {valued->equity, valued->im_scaled, valued->mm_scaled, valued->settled};
    for (int i = 0; result && i < 4; i++) {
        PyObject *value = object_from_wide(values[i]);
        if (value)
            PyTuple_SET_ITEM(result, i, value);
        else
            Py_CLEAR(result);
    }
    return result;
}

static int read_factors(PyObject *table, PyObject *k_im_bps, PyObject *k_mm_bps, int64_t *k_im, int64_t *k_mm)
{
    return check_table(table) || read_int(k_im_bps, "k_im_bps", 0, FACTOR_MAX, k_im) || read_int(k_mm_bps, "k_mm_bps", 0, FACTOR_MAX, k_mm) ? -1 : 0;
}

PyObject *kernel_requirement(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    int64_t k_im, k_mm;
    int128 cash;
    Positions positions = {0};
    PyObject *result = NULL;
    if (check_count("requirement", count, 5) || read_factors(arguments[0], arguments[3], arguments[4], &k_im, &k_mm) || read_cash(arguments[1], &cash))
        return NULL;
    if (!read_positions((Table *)arguments[0], arguments[2], &positions)) {
        Valuation valued = value_account(positions.items, positions.count, cash, k_im, k_mm);
        result = object_from_valuation(&valued);
    }
    PyMem_Free(positions.items);
    return result;
}

/* Reads every account; -1 with an exception set. `accounts` and the positions are the caller's to free in either case. */
static int read_accounts(const Table *table, PyObject *given, Account *accounts, Positions *positions)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given); i++) {
        PyObject *item = PyTuple_GET_ITEM(given, i);
        if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
            PyErr_Format(PyExc_ValueError, "account: %R, expected (cash, positions)", item);
            return -1;
        }
        accounts[i].first = positions->count;
        if (read_cash(PyTuple_GET_ITEM(item, 0), &accounts[i].cash) || read_positions(table, PyTuple_GET_ITEM(item, 1), positions))
            return -1;
        accounts[i].count = positions->count - accounts[i].first;
    }
    return 0;
}

PyObject *kernel_sweep(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t argument_count)
{
    int64_t k_im, k_mm;
    if (check_count("sweep", argument_count, 4) || read_factors(arguments[0], arguments[2], arguments[3], &k_im, &k_mm))
        return NULL;
    PyObject *given = PySequence_Tuple(arguments[1]); /* nobody else can change it while it is read */
    if (!given)
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(given);
    Positions positions = {0};
    Account *accounts = PyMem_New(Account, count + 1);
    Valuation *valued = PyMem_New(Valuation, count + 1);
    PyObject *result = NULL;
    if (!accounts || !valued)
        PyErr_NoMemory();
    else if (!read_accounts((Table *)arguments[0], given, accounts, &positions)) {
        Py_BEGIN_ALLOW_THREADS;
        for (Py_ssize_t i = 0; i < count; i++)
            valued[i] = value_account(positions.items + accounts[i].first, accounts[i].count, accounts[i].cash, k_im, k_mm);
        Py_END_ALLOW_THREADS;
        result = PyList_New(count);
    }
    for (Py_ssize_t i = 0; result && i < count; i++) {
        PyObject *item = object_from_valuation(&valued[i]);
        if (item)
            PyList_SET_ITEM(result, i, item);
        else
            Py_CLEAR(result);
    }
    PyMem_Free(accounts);
    PyMem_Free(valued);
    PyMem_Free(positions.items);
    Py_DECREF(given);
    return result;
}
