"""The C interface of libunicorn 2, as far as it is used: pointers that are found at run time, so no header is needed.

Numbers are those of its public headers unicorn.h and x86.h, which are fixed for version 2.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <stdbool.h>
    #define UC_CTL_TB_REQUEST_CACHE (8u | 2u << 26 | 3u << 30)  /* two arguments, written and read */
    typedef int (*uc_open_t)(int, int, void **);
    typedef int (*uc_close_t)(void *);
    typedef int (*uc_ctl_t)(void *, uint32_t, ...);
    typedef int (*uc_map_ptr_t)(void *, uint64_t, uint64_t, uint32_t, void *);
    typedef int (*uc_mmio_t)(void *, uint64_t, uint64_t, void *, void *, void *, void *);
    typedef int (*uc_hook_t)(void *, size_t *, int, void *, void *, uint64_t, uint64_t, ...);
    typedef int (*uc_reg_t)(void *, int, void *);
    typedef int (*uc_start_t)(void *, uint64_t, uint64_t, uint64_t, size_t);
    typedef int (*uc_stop_t)(void *);
    typedef const char *(*uc_error_t)(int);
    typedef unsigned (*uc_version_t)(unsigned *, unsigned *);
    typedef struct { uint64_t pc; uint16_t icount; uint16_t size; } uc_block_t;
    typedef struct { uint16_t selector; uint64_t base; uint32_t limit; uint32_t flags; } uc_table_t;
    """
    uint32_t UC_CTL_TB_REQUEST_CACHE
    ctypedef int (*uc_open_t)(int, int, void **)
    ctypedef int (*uc_close_t)(void *)
    ctypedef int (*uc_ctl_t)(void *, uint32_t, ...)
    ctypedef int (*uc_map_ptr_t)(void *, uint64_t, uint64_t, uint32_t, void *)
    ctypedef int (*uc_mmio_t)(void *, uint64_t, uint64_t, void *, void *, void *, void *)
    ctypedef int (*uc_hook_t)(void *, size_t *, int, void *, void *, uint64_t, uint64_t, ...)
    ctypedef int (*uc_reg_t)(void *, int, void *)
    ctypedef int (*uc_start_t)(void *, uint64_t, uint64_t, uint64_t, size_t)
    ctypedef int (*uc_stop_t)(void *)
    ctypedef const char *(*uc_error_t)(int)
    ctypedef unsigned int (*uc_version_t)(unsigned int *, unsigned int *)
    ctypedef struct uc_block_t:
        uint64_t pc
        uint16_t icount
        uint16_t size
    ctypedef struct uc_table_t:
        uint16_t selector
        uint64_t base
        uint32_t limit
        uint32_t flags

cdef struct Unicorn:
    uc_open_t open
    uc_close_t close
    uc_ctl_t control
    uc_map_ptr_t map_memory
    uc_mmio_t map_device
    uc_hook_t add_hook
    uc_reg_t read_register
    uc_reg_t write_register
    uc_start_t start
    uc_stop_t stop
    uc_error_t error_text
    uc_version_t version

cdef enum:
    UC_ARCH_X86 = 4
    UC_MODE_32 = 1 << 2
    UC_CPU_X86_PENTIUM = 8
    UC_PROT_READ = 1
    UC_PROT_EXEC = 4
    UC_ERR_INSN_INVALID = 10

    UC_CTL_CPU_MODEL = 7 | 1 << 26 | 1 << 30            # one argument, written

    UC_HOOK_INTR = 1 << 0
    UC_HOOK_INSN = 1 << 1
    UC_HOOK_BLOCK = 1 << 3
    UC_HOOK_MEM_INVALID = 0x3f << 4
    UC_HOOK_MEM_READ = 1 << 10

    UC_MEM_READ_UNMAPPED = 19
    UC_MEM_WRITE_UNMAPPED = 20
    UC_MEM_FETCH_UNMAPPED = 21
    UC_MEM_WRITE_PROT = 22
    UC_MEM_READ_PROT = 23
    UC_MEM_FETCH_PROT = 24

    UC_X86_INS_IN = 218
    UC_X86_INS_OUT = 500
    UC_X86_INS_SYSCALL = 699
    UC_X86_INS_SYSENTER = 700

    UC_X86_REG_CS = 11
    UC_X86_REG_DS = 17
    UC_X86_REG_EAX = 19
    UC_X86_REG_EBP = 20
    UC_X86_REG_EBX = 21
    UC_X86_REG_ECX = 22
    UC_X86_REG_EDI = 23
    UC_X86_REG_EDX = 24
    UC_X86_REG_EFLAGS = 25
    UC_X86_REG_EIP = 26
    UC_X86_REG_ES = 28
    UC_X86_REG_ESI = 29
    UC_X86_REG_ESP = 30
    UC_X86_REG_FPSW = 31
    UC_X86_REG_FS = 32
    UC_X86_REG_GS = 33
    UC_X86_REG_SS = 49
    UC_X86_REG_CR4 = 54
    UC_X86_REG_GDTR = 243
    UC_X86_REG_FPCW = 246
    UC_X86_REG_FPTAG = 247
