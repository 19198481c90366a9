/* Objects of Python's classes with __slots__, read and made by the places of their slots: by name each would cost a look-up. */
#include "kernel.h"
#include <structmember.h>

int find_shape(PyObject *type, const char *const *names, bool whole, Shape *shape)
{
    int count = 0;
    if (!PyType_Check(type)) {
        PyErr_Format(PyExc_TypeError, "type: %.100s, expected a class", Py_TYPE(type)->tp_name);
        return -1;
    }
    for (; names[count]; count++) {
        PyObject *member = PyObject_GetAttrString(type, names[count]);
        bool slot = member && Py_IS_TYPE(member, &PyMemberDescr_Type) && PyType_IsSubtype((PyTypeObject *)type, PyDescr_TYPE(member)) &&
                    ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX;
        if (!slot)
            PyErr_Format(PyExc_TypeError, "%.100s: no slot %s", ((PyTypeObject *)type)->tp_name, names[count]);
        else
            shape->offsets[count] = ((PyMemberDescrObject *)member)->d_member->offset;
        Py_XDECREF(member);
        if (!slot)
            return -1;
    }
    PyObject *all = whole ? PyObject_GetAttrString(type, "__slots__") : NULL;
    Py_ssize_t slots = all ? PyObject_Size(all) : count;
    Py_XDECREF(all);
    if (whole && (!all || slots != count)) {
        PyErr_Format(PyExc_TypeError, "%.100s: expected the slots that the kernel knows and no others", ((PyTypeObject *)type)->tp_name);
        return -1;
    }
    shape->type = (PyTypeObject *)type;
    return 0;
}

PyObject *make_object(const Shape *shape, PyObject *const *values, int count)
{
    PyObject *made = shape->type->tp_alloc(shape->type, 0);
    for (int i = 0; made && i < count; i++)
        *(PyObject **)((char *)made + shape->offsets[i]) = Py_NewRef(values[i]);
    return made;
}
