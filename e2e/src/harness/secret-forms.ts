/** The forms in which a secret may get out, and where it did. */
import { createHmac, createPrivateKey } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A secret under the name that a finding gets. */
export interface Secret {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Where bytes were seen: a log, an answer, a file. */
export interface Place {
  readonly name: string
  readonly content: Uint8Array | string
}

/** A secret key as it is, and the keys that are derived from it on the days around now. */
export function secretKeyForms(name: string, secretKey: string, nowMs: number): Secret[] {
  const days = [-1, 0, 1].map((day) => new Date(nowMs + day * 86_400_000).toISOString().slice(0, 10))
  const derived = days.map((day) => ({
    name: `${name}, signing key of ${day}`,
    bytes: ['us-east-1', 's3', 'aws4_request'].reduce(
      hmac,
      hmac(`AWS4${secretKey}`, day.replaceAll('-', '')),
    ),
  }))
  return [{ name, bytes: Buffer.from(secretKey) }, ...derived]
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** A private key in PEM: its secret number, and the lines of its text. */
export function privateKeyForms(name: string, pem: string): Secret[] {
  const { d } = createPrivateKey(pem).export({ format: 'jwk' })
  if (d === undefined) throw new Error('not a private key')
  const lines = pem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'))
  return [
    { name, bytes: Buffer.from(d, 'base64url') },
    ...lines.map((line) => ({ name: `${name}, text`, bytes: Buffer.from(line) })),
  ]
}

/** A secret in plain, hex of both cases, and both alphabets of base64 wherever it begins in the text around it. */
function formsOf({ bytes }: Secret): [form: string, needle: Buffer][] {
  const hex = Buffer.from(bytes).toString('hex')
  const forms: [string, Buffer][] = [
    ['plain', Buffer.from(bytes)],
    ['hex', Buffer.from(hex)],
    ['hex in capitals', Buffer.from(hex.toUpperCase())],
  ]
  for (const before of [0, 1, 2]) {
    // What its neighbours share with it is left out: three bytes make four letters.
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replaceAll('=', '')
    const own = text.slice(before === 0 ? 0 : before + 1, (text.length >> 2) << 2)
    forms.push(['base64', Buffer.from(own)], ['base64url', Buffer.from(base64url(own))])
  }
  return forms
}

function base64url(text: string): string {
  return text.replaceAll('+', '-').replaceAll('/', '_')
}

/** One line for each secret in each place where it stands in any form. */
export function findSecrets(secrets: readonly Secret[], places: readonly Place[]): string[] {
  const needles = secrets.flatMap((secret) =>
    formsOf(secret).map(([form, needle]) => ({ what: `${secret.name} in ${form}`, needle })),
  )
  return places.flatMap(({ name, content }) => {
    const bytes = Buffer.from(content)
    return needles.filter(({ needle }) => bytes.includes(needle)).map(({ what }) => `${what}: ${name}`)
  })
}

/** All files below a folder but those whose path ends in one of `except`. */
export async function filesBelow(folder: string, except: readonly string[] = []): Promise<Place[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const chosen = paths.filter((path) => !except.some((end) => path.endsWith(end)))
  return Promise.all(chosen.map(async (path) => ({ name: path, content: await readFile(path) })))
}
