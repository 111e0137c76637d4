/** Builds the shim that logs what a process does to its disk and makes single calls fail; see `disk-shim.c`. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runOk } from './run.js'

const SOURCE = fileURLToPath(new URL('../../../src/harness/disk-shim.c', import.meta.url))

/** Calls that are counted and can fail, over all threads of the process. */
export const FAULT_CLASSES = ['sync', 'write', 'rename', 'unlink', 'truncate'] as const
export type FaultClass = (typeof FAULT_CLASSES)[number]

/** `kill`: SIGKILL in its place; `torn`: half of the write, then SIGKILL; `short`: half of the write. */
export type FaultAction = 'kill' | 'torn' | 'short' | 'EIO' | 'ENOSPC'

export interface Fault {
  readonly call: FaultClass
  /** Which call of the class, from 1 on. */
  readonly at: number
  readonly action: FaultAction
}

const ERROR_NUMBERS: Readonly<Partial<Record<FaultAction, number>>> = { EIO: 5, ENOSPC: 28 }

export interface ShimOptions {
  readonly shim: string
  /** The folder whose files count. */
  readonly root: string
  /** None is written unless given. */
  readonly log?: string
  /** The log also takes the bytes written. */
  readonly withData?: boolean
  /** While this file is there, each sync takes as many milliseconds longer as it says. */
  readonly slow?: string
  readonly fault?: Fault
}

/** Compiles the shim into a folder; its path. */
export async function buildShim(folder: string): Promise<string> {
  const target = join(folder, 'disk-shim.so')
  await runOk('gcc', ['-shared', '-fPIC', '-O2', '-o', target, SOURCE, '-ldl', '-lpthread'])
  return target
}

/** Variables under which a process runs with the shim. */
export function shimEnv({ shim, root, log, withData, slow, fault }: ShimOptions): Record<string, string> {
  return {
    LD_PRELOAD: shim,
    SHIM_ROOT: root,
    ...(log === undefined ? {} : { SHIM_LOG: log }),
    ...(slow === undefined ? {} : { SHIM_SLOW: slow }),
    ...(withData === true ? { SHIM_DATA: '1' } : {}),
    ...(fault === undefined ? {} : { SHIM_FAULT: faultText(fault) }),
  }
}

function faultText({ call, at, action }: Fault): string {
  return `${call}:${at}:${ERROR_NUMBERS[action] ?? action}`
}
