/** Reads the flat XML of S3 answers, and says what an error must look like. */
import { expect } from 'chai'
import type { WireResponse } from './wire.js'

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeXml(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]+|#\d+|\w+);/g, (_whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16))
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)))
    return ENTITIES[name] ?? ''
  })
}

/** Text of all elements of that name, in order; nested markup is not unescaped. */
export function texts(xml: string, name: string): string[] {
  const pattern = new RegExp(`<${name}(?: [^>]*)?(?:/>|>([\\s\\S]*?)</${name}>)`, 'g')
  return [...xml.matchAll(pattern)].map((match) => unescapeXml(match[1] ?? ''))
}

/** Text of the first element of that name. */
export function text(xml: string, name: string): string | undefined {
  return texts(xml, name)[0]
}

/** Raw content of all elements of that name. */
export function blocks(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([\\s\\S]*?)</${name}>`, 'g'))].map((match) => match[1] ?? '')
}

/** Asserts status, code and the shape of every S3 error. */
export function expectError(response: WireResponse, status: number, code: string): void {
  const said = response.text.slice(0, 600)
  expect(response.status, said).to.equal(status)
  expect(text(response.text, 'Code'), said).to.equal(code)
  expect(response.headers['content-type']).to.match(/^application\/xml/)
  expect(response.text).to.match(/^<\?xml version="1\.0" encoding="UTF-8"\?>\s*<Error>.*<\/Error>\s*$/s)
  expect(text(response.text, 'Message'), said).to.be.a('string').and.not.equal('')
  expect(text(response.text, 'Resource'), said).to.be.a('string')
  expect(text(response.text, 'RequestId')).to.be.a('string').and.not.equal('')
  expect(text(response.text, 'RequestId')).to.equal(response.headers['x-amz-request-id'])
}

export interface Refusal {
  readonly code: string
  readonly status: number
}

/** How the SDK saw a call fail; the test fails if it did not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } }
    if ($metadata === undefined) throw error
    return { code: name, status: $metadata.httpStatusCode ?? 0 }
  }
  throw new Error('the call succeeded although it must be refused')
}
