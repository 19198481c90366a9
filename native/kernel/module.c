/* The module straddle.core._kernel. */
#include "kernel.h"

#ifndef SOURCE_DIGEST
#error "compile with hatch_build.py, which defines SOURCE_DIGEST"
#endif

static PyMethodDef functions[] = {
    {"requirement", (PyCFunction)(void (*)(void))kernel_requirement, METH_FASTCALL,
     "requirement(table, cash, positions, k_im_bps, k_mm_bps): (equity, im_scaled, mm_scaled, settled) of an account."},
    {"sweep", (PyCFunction)(void (*)(void))kernel_sweep, METH_FASTCALL, "sweep(table, accounts, k_im_bps, k_mm_bps): requirement of each (cash, positions)."},
    {0},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "straddle.core._kernel",
    .m_doc = "The kernel (native/kernel); its definition is straddle.core.kernel_reference and cap_reference.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    if (PyType_Ready(&table_type) || PyType_Ready(&exposure_type) || PyType_Ready(&cap_type) || PyType_Ready(&order_codec_type) || PyType_Ready(&quotes_type))
        return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module && (PyModule_AddType(module, &table_type) || PyModule_AddType(module, &exposure_type) || PyModule_AddType(module, &cap_type) ||
                   PyModule_AddType(module, &order_codec_type) || PyModule_AddType(module, &quotes_type) ||
                   PyModule_AddStringConstant(module, "SOURCE_DIGEST", SOURCE_DIGEST)))
        Py_CLEAR(module);
    return module;
}
