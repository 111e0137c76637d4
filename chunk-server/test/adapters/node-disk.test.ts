import fs, { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { createNodeDisk } from '../../src/adapters/node-disk.js'
import { codeOf } from '../conformance/blocks.js'
import { describeDisk } from '../conformance/disk.js'
import { temporaryFolder } from '../temporary-folder.js'

for (const durability of ['fsync', 'none'] as const) {
  describeDisk(`NodeDisk (${durability})`, async () => {
    const folder = temporaryFolder()
    return { disk: createNodeDisk(folder.path, { durability }), dispose: async () => folder.remove() }
  })
}

/** Names of the calls to node:fs that matter for durability, in the order in which they began. */
async function callsDuring(step: () => Promise<void>): Promise<string[]> {
  const calls: string[] = []
  const { fdatasync, fsync, rename } = fs
  const original = { fdatasync, fsync, rename }
  for (const [name, call] of Object.entries(original)) {
    const spy = (...args: unknown[]): unknown => {
      calls.push(name)
      return Reflect.apply(call, fs, args)
    }
    Object.assign(fs, { [name]: spy })
  }
  try {
    await step()
  } finally {
    Object.assign(fs, original)
  }
  return calls
}

/** Runs a step while one function of node:fs is another. */
async function replacing(calls: Partial<typeof fs>, step: () => Promise<void>): Promise<void> {
  const original = Object.fromEntries(Object.keys(calls).map((name) => [name, Reflect.get(fs, name)]))
  Object.assign(fs, calls)
  try {
    await step()
  } finally {
    Object.assign(fs, original)
  }
}

describe('NodeDisk', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder()
  })
  afterEach(() => folder.remove())

  for (const [durability, expected] of [
    ['fsync', ['fdatasync', 'rename', 'fsync']],
    ['none', ['rename']],
  ] as const) {
    it(`syncs a replaced file, then its folder (${durability})`, async () => {
      const calls = await callsDuring(() =>
        createNodeDisk(folder.path, { durability }).replace('a', Buffer.from('x')),
      )
      expect(calls).to.deep.equal(expected)
    })
  }

  it('goes on after short writes, of one buffer and of many', async () => {
    const disk = createNodeDisk(folder.path, { durability: 'none' })
    const file = await disk.open('a', 'create')
    const { writeSync } = fs
    let calls = 0
    const short = (descriptor: number, bytes: Uint8Array, at: number): number => {
      calls++
      return writeSync(descriptor, bytes, 0, Math.min(1000, bytes.length), at)
    }
    type Done = (error: null, count: number) => void
    const write = (
      fd: number,
      bytes: Uint8Array,
      _from: number,
      _size: number,
      at: number,
      done: Done,
    ): void => done(null, short(fd, bytes, at))
    const writev = (fd: number, buffers: Uint8Array[], at: number, done: Done): void =>
      done(null, short(fd, Buffer.concat(buffers), at))
    const body = Buffer.from(Array.from({ length: 5000 }, (_, at) => at & 0xff))
    const now = (fd: number, bytes: Uint8Array, _from: number, _size: number, at: number): number =>
      short(fd, bytes, at)
    await replacing({ write, writev, writeSync: now } as unknown as Partial<typeof fs>, async () => {
      await file?.write([body], 0)
      await file?.write(
        [body.subarray(0, 10), Buffer.alloc(0), body.subarray(10, 1700), body.subarray(1700)],
        5000,
      )
    })
    await file?.close()
    expect(calls).to.equal(10)
    expect(Buffer.concat([body, body]).equals((await disk.readSmall('a')) ?? Buffer.alloc(0))).to.equal(true)
  })

  for (const [cause, code] of [
    ['ENOSPC', 'DriveFull'],
    ['EDQUOT', 'DriveFull'],
    ['EIO', 'DriveFailed'],
    ['EROFS', 'DriveFailed'],
    ['EMFILE', 'Busy'],
  ] as const) {
    it(`answers ${code} to ${cause}`, async () => {
      const disk = createNodeDisk(folder.path, { durability: 'fsync' })
      const file = await disk.open('a', 'create')
      const fail = (...args: unknown[]): void =>
        (args.at(-1) as (error: Error) => void)(Object.assign(new Error(cause), { code: cause }))
      const writeSync = (): never => {
        throw Object.assign(new Error(cause), { code: cause })
      }
      const many = { open: fail, writev: fail, fdatasync: fail, rename: fail, unlink: fail }
      const failing = { ...many, write: fail, writeSync }
      await replacing(failing as unknown as Partial<typeof fs>, async () => {
        expect(await codeOf(disk.open('b', 'create'))).to.equal(code)
        expect(await codeOf(file?.write([Buffer.alloc(1)], 0) ?? Promise.resolve())).to.equal(code)
        expect(await codeOf(file?.write([Buffer.alloc(1024 * 1024)], 0) ?? Promise.resolve())).to.equal(code)
        expect(await codeOf(file?.sync() ?? Promise.resolve())).to.equal(code)
        expect(await codeOf(disk.rename('a', 'b'))).to.equal(code)
        expect(await codeOf(disk.remove('a'))).to.equal(code)
        expect(await codeOf(disk.replace('c', Buffer.alloc(1)))).to.equal(code)
      })
      await file?.close()
    })
  }

  it('is busy while a folder cannot be opened for its sync, and failed once the sync has failed', async () => {
    const disk = createNodeDisk(folder.path, { durability: 'fsync' })
    const fail = (...args: unknown[]): void =>
      (args.at(-1) as (error: Error) => void)(Object.assign(new Error('ENOMEM'), { code: 'ENOMEM' }))
    for (const [call, code] of [
      ['open', 'Busy'],
      ['fsync', 'DriveFailed'],
    ] as const) {
      await replacing({ [call]: fail } as unknown as Partial<typeof fs>, async () => {
        expect(await codeOf(disk.syncFolder(''))).to.equal(code)
      })
    }
  })

  it('does not follow symbolic links', async () => {
    symlinkSync('/etc/hostname', join(folder.path, 'link'))
    const disk = createNodeDisk(folder.path, { durability: 'fsync' })
    expect(await codeOf(disk.open('link', 'read'))).to.equal('DriveFailed')
  })

  it('replaces a file although a crashed process left its temporary files', async () => {
    for (let at = 1; at < 100; at++) writeFileSync(join(folder.path, `a.${at}.tmp`), 'torn')
    const disk = createNodeDisk(folder.path, { durability: 'fsync' })
    await disk.replace('a', Buffer.from('whole'))
    expect(Buffer.from((await disk.readSmall('a')) ?? []).toString()).to.equal('whole')
  })

  it('keeps the cause of a failure', async () => {
    mkdirSync(join(folder.path, 'sub'))
    const disk = createNodeDisk(folder.path, { durability: 'fsync' })
    rmSync(folder.path, { recursive: true })
    const error = await disk.list('').catch((caught: unknown) => caught)
    expect(error).to.be.instanceOf(CairnError)
    expect((error as CairnError).code).to.equal('DriveFailed')
    expect(((error as CairnError).cause as NodeJS.ErrnoException).code).to.equal('ENOENT')
  })

  it('never calls a file durable whose name has gone', async () => {
    mkdirSync(join(folder.path, 'drive'))
    const disk = createNodeDisk(join(folder.path, 'drive'), { durability: 'fsync' })
    const file = await disk.open('a', 'create')
    await file?.write([Buffer.from('there')], 0)
    await file?.sync()
    rmSync(join(folder.path, 'drive'), { recursive: true })
    await file?.write([Buffer.from('gone?')], 0)
    const error = await file?.sync().catch((caught: unknown) => caught)
    expect(error).to.be.instanceOf(CairnError)
    expect((error as CairnError).code).to.equal('DriveFailed')
    expect(((error as CairnError).cause as NodeJS.ErrnoException).code).to.equal('ENOENT')
    await file?.close()
  })

  it('calls a full device a full drive', async function () {
    if (!existsSync('/dev/full')) this.skip()
    const disk = createNodeDisk('/dev', { durability: 'none' })
    const full = await disk.open('full', 'write')
    expect(await codeOf(full?.write([Buffer.alloc(10)], 0) ?? Promise.resolve())).to.equal('DriveFull')
    expect(await codeOf(full?.write([Buffer.alloc(10), Buffer.alloc(9)], 0) ?? Promise.resolve())).to.equal(
      'DriveFull',
    )
    await full?.close()
  })
})
