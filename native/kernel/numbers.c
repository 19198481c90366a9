/* Integers between Python and C, with their bounds. */
#include "kernel.h"

#define CASH_HIGH_BOUND (INT64_C(1) << 48) /* |cash| below 2^96 */

static int refuse_type(PyObject *object, const char *name)
{
    PyErr_Format(PyExc_TypeError, "%s: %.100s, expected int", name, Py_TYPE(object)->tp_name);
    return -1;
}

bool is_word(PyObject *object, uint64_t *out)
{
    if (!object || !PyLong_Check(object) || PyBool_Check(object))
        return false;
    *out = PyLong_AsUnsignedLongLong(object);
    if (*out != UINT64_MAX || !PyErr_Occurred())
        return true;
    PyErr_Clear();
    return false;
}

int read_int(PyObject *object, const char *name, int64_t low, int64_t high, int64_t *out)
{
    int overflow;
    if (!PyLong_Check(object))
        return refuse_type(object, name);
    long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow || value < low || value > high) {
        PyErr_Format(PyExc_ValueError, "%s: %S, expected %lld to %lld", name, object, (long long)low, (long long)high);
        return -1;
    }
    *out = value;
    return 0;
}

int read_cash(PyObject *object, int128 *out)
{
    int overflow;
    if (!PyLong_Check(object))
        return refuse_type(object, "cash");
    long long low = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (!overflow) {
        *out = low;
        return 0;
    }
    PyObject *shift = PyLong_FromLong(48);
    PyObject *shifted = shift ? PyNumber_Rshift(object, shift) : NULL;
    Py_XDECREF(shift);
    if (!shifted)
        return -1;
    long long high = PyLong_AsLongLongAndOverflow(shifted, &overflow);
    Py_DECREF(shifted);
    if (overflow || high < -CASH_HIGH_BOUND || high >= CASH_HIGH_BOUND) {
        PyErr_Format(PyExc_ValueError, "cash: %S, expected -2^96 to 2^96 - 1", object);
        return -1;
    }
    uint64_t rest = PyLong_AsUnsignedLongLongMask(object) & ((UINT64_C(1) << 48) - 1);
    *out = (int128)high * (INT64_C(1) << 48) + rest;
    return 0;
}

PyObject *object_from_wide(int128 value)
{
    if (value >= INT64_MIN && value <= INT64_MAX)
        return PyLong_FromLongLong((long long)value);
    /* value = high * 2^126 + middle * 2^63 + low; Python's integers put it together */
    PyObject *result = NULL, *shifted = NULL;
    PyObject *high = PyLong_FromLongLong((long long)(value >> 126)), *middle = PyLong_FromLongLong((long long)((value >> 63) & INT64_MAX));
    PyObject *low = PyLong_FromLongLong((long long)(value & INT64_MAX)), *shift = PyLong_FromLong(63);
    if (high && middle && low && shift && (shifted = PyNumber_Lshift(high, shift))) {
        Py_SETREF(shifted, PyNumber_Or(shifted, middle));
        if (shifted)
            Py_SETREF(shifted, PyNumber_Lshift(shifted, shift));
        if (shifted)
            result = PyNumber_Or(shifted, low);
    }
    Py_XDECREF(high);
    Py_XDECREF(middle);
    Py_XDECREF(low);
    Py_XDECREF(shift);
    Py_XDECREF(shifted);
    return result;
}

int check_count(const char *function, Py_ssize_t count, Py_ssize_t expected)
{
    if (count == expected)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s: %zd arguments, expected %zd", function, count, expected);
    return -1;
}
