/* A risk table's rows, checked once. Immutable. */
#include "kernel.h"

#define FIELDS 9

static int read_deltas(PyObject *object, Row *row)
{
    PyObject *deltas = PySequence_Tuple(object);
    if (!deltas)
        return -1;
    int status = 0;
    if (PyTuple_GET_SIZE(deltas) != PATHS - 1) {
        PyErr_Format(PyExc_ValueError, "deltas: %zd, expected %d", PyTuple_GET_SIZE(deltas), PATHS - 1);
        status = -1;
    }
    row->deltas[0] = row->largest_delta = 0;
    for (int path = 1; !status && path < PATHS; path++) {
        status = read_int(PyTuple_GET_ITEM(deltas, path - 1), "delta", -TICKS_MAX, TICKS_MAX, &row->deltas[path]);
        if (!status && Py_ABS(row->deltas[path]) > row->largest_delta)
            row->largest_delta = Py_ABS(row->deltas[path]);
    }
    Py_DECREF(deltas);
    return status;
}

static int read_row(PyObject *fields, int64_t last, Row *row)
{
    static const char *const names[] = {"long_im", "long_mm", "short_im", "short_mm"};
    int64_t *const charges[] = {&row->long_im, &row->long_mm, &row->short_im, &row->short_mm};
    int64_t funding;
    if (!PyTuple_Check(fields) || PyTuple_GET_SIZE(fields) != FIELDS) {
        PyErr_Format(PyExc_ValueError, "row: %R, expected a tuple of %d", fields, FIELDS);
        return -1;
    }
    if (read_int(PyTuple_GET_ITEM(fields, 0), "instrument", last + 1, INSTRUMENT_MAX, &row->instrument) ||
        read_int(PyTuple_GET_ITEM(fields, 2), "value", -TICKS_MAX, TICKS_MAX, &row->value) ||
        read_int(PyTuple_GET_ITEM(fields, 3), "funding", -TICKS_MAX, TICKS_MAX, &funding))
        return -1;
    row->mark = row->value + funding;
    for (int i = 0; i < 4; i++)
        if (read_int(PyTuple_GET_ITEM(fields, 4 + i), names[i], 0, TICKS_MAX, charges[i]))
            return -1;
    if (read_deltas(PyTuple_GET_ITEM(fields, 8), row))
        return -1;
    int linear = PyObject_IsTrue(PyTuple_GET_ITEM(fields, 1));
    row->linear = linear == 1;
    return linear < 0 ? -1 : 0;
}

static PyObject *table_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"rows", NULL};
    PyObject *given;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:Table", names, &given))
        return NULL;
    PyObject *rows = PySequence_Tuple(given);
    if (!rows)
        return NULL;
    Py_ssize_t count = PyTuple_GET_SIZE(rows);
    Table *self = NULL;
    if (count > ROWS_MAX)
        PyErr_Format(PyExc_ValueError, "rows: %zd, expected at most %d", count, ROWS_MAX);
    else
        self = (Table *)type->tp_alloc(type, count);
    int64_t last = -1;
    for (Py_ssize_t i = 0; self && i < count; i++) {
        if (read_row(PyTuple_GET_ITEM(rows, i), last, &self->rows[i]))
            Py_CLEAR(self);
        else
            last = self->rows[i].instrument;
    }
    Py_DECREF(rows);
    return (PyObject *)self;
}

int check_table(PyObject *object)
{
    if (Py_IS_TYPE(object, &table_type))
        return 0;
    PyErr_Format(PyExc_TypeError, "table: %.100s, expected Table", Py_TYPE(object)->tp_name);
    return -1;
}

const Row *find_row(const Table *table, PyObject *instrument)
{
    int overflow = 1;
    long long id = PyLong_Check(instrument) ? PyLong_AsLongLongAndOverflow(instrument, &overflow) : 0;
    Py_ssize_t low = 0, high = Py_SIZE(table);
    if (!overflow && id >= 0 && high) {
        /* Ids are dense but for those retired: an id's row is where counting from the first one leads, or before. */
        long long guess = id - table->rows[0].instrument;
        if (guess >= 0 && guess < high)
            high = guess + 1;
        while (low < high) {
            Py_ssize_t middle = high == guess + 1 ? guess : low + (high - low) / 2;
            if (table->rows[middle].instrument == id)
                return &table->rows[middle];
            if (table->rows[middle].instrument < id)
                low = middle + 1;
            else
                high = middle;
        }
    }
    PyErr_SetObject(PyExc_KeyError, instrument);
    return NULL;
}

static PyObject *table_largest(PyObject *self, PyObject *instrument)
{
    const Row *row = find_row((Table *)self, instrument);
    if (!row)
        return NULL;
    int64_t value = Py_ABS(row->value);
    return PyLong_FromLongLong(value > row->largest_delta ? value : row->largest_delta);
}

static Py_ssize_t table_length(PyObject *self) { return Py_SIZE(self); }

static PyMethodDef methods[] = {
    {"largest", table_largest, METH_O, "max(|value|, |delta| of every scenario) of an instrument, in ticks."},
    {0},
};

static PySequenceMethods as_sequence = {.sq_length = table_length};

PyTypeObject table_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "straddle.core._kernel.Table",
    .tp_doc = "A risk table's rows, checked once. Immutable.",
    .tp_basicsize = sizeof(Table),
    .tp_itemsize = sizeof(Row),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = table_new,
    .tp_as_sequence = &as_sequence,
    .tp_methods = methods,
};
