import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { DOCUMENT_BOUNDS } from '../../src/limits.js'
import { childrenOf, findText, parseXml } from '../../src/xml/reader.js'
import { document, element, escapeXml, parent } from '../../src/xml/writer.js'

function codeOf(xml: string | Uint8Array, root = 'Delete'): string {
  try {
    parseXml(typeof xml === 'string' ? Buffer.from(xml) : xml, root)
    return 'parsed'
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

describe('XML', () => {
  it('reads elements in any order, with or without namespace and prefix', () => {
    for (const xml of [
      '<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>',
      '<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="urn:x"><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>',
      '<s3:Delete xmlns:s3="urn:x"><s3:Object><s3:Key>a</s3:Key></s3:Object><s3:Quiet>true</s3:Quiet></s3:Delete>',
    ]) {
      const root = parseXml(Buffer.from(xml), 'Delete')
      expect(findText(root, 'Quiet')).to.equal('true')
      expect(childrenOf(root, 'Object').map((child) => findText(child, 'Key'))).to.deep.equal(['a'])
    }
  })

  it('brings every key through writer and reader unchanged', () => {
    let key = ''
    for (let code = 1; code < 0x3000; code++) key += String.fromCharCode(code)
    key += '\ufffd😀 \r\n\t&amp;]]><![CDATA['
    const xml = document('Delete', parent('Object', element('Key', key)))
    const root = parseXml(Buffer.from(xml), 'Delete')
    const read = findText(childrenOf(root, 'Object')[0] ?? root, 'Key') ?? ''
    expect(read.length).to.equal(key.length)
    expect(read === key).to.equal(true)
  })

  it('reads the characters that XML 1.0 has and 1.1 has not', () => {
    const key = 'a\u007fb\u0080c\u009fd\u0085e\u2028f'
    const root = parseXml(Buffer.from(`<Delete><Key>${key}</Key></Delete>`), 'Delete')
    expect(findText(root, 'Key')).to.equal(key)
  })

  it('refuses a CDATA section rather than read a character of it wrongly', () => {
    expect(codeOf('<Delete><![CDATA[a]]></Delete>')).to.equal('parsed')
    expect(codeOf('<Delete><![CDATA[\u0085]]></Delete>')).to.equal('MalformedXML')
  })

  it('writes the five special characters and control characters as entities', () => {
    expect(escapeXml(`&<>"'\u0001\r`)).to.equal('&amp;&lt;&gt;&quot;&apos;&#x1;&#xD;')
    expect(escapeXml('\u0000')).to.equal('\ufffd')
  })

  it('refuses DOCTYPE, processing instructions and unknown entities', () => {
    for (const xml of [
      '<!DOCTYPE Delete [<!ENTITY a "b">]><Delete>&a;</Delete>',
      '<!DOCTYPE Delete SYSTEM "http://example.com/"><Delete/>',
      '<Delete><?php x?></Delete>',
      '<Delete>&nbsp;</Delete>',
      '<Delete>&#x110000;</Delete>',
      '<Delete>&#0;</Delete>',
    ]) {
      expect(codeOf(xml), xml).to.equal('MalformedXML')
    }
  })

  it('refuses what is not well formed, not UTF-8, empty or of another root', () => {
    for (const xml of ['', ' ', '<Delete>', '<Delete/><Delete/>', '<Delete></delete>', '<Other/>', 'x']) {
      expect(codeOf(xml), xml).to.equal('MalformedXML')
    }
    expect(codeOf(Buffer.from([...Buffer.from('<Delete>'), 0xff, ...Buffer.from('</Delete>')]))).to.equal(
      'MalformedXML',
    )
  })

  it('bounds size, depth and number of elements', () => {
    expect(codeOf(`<Delete>${' '.repeat(1024 * 1024)}</Delete>`)).to.equal('MaxMessageLengthExceeded')
    const nested = (depth: number): string => `<Delete>${'<a>'.repeat(depth)}${'</a>'.repeat(depth)}</Delete>`
    expect(codeOf(nested(19))).to.equal('parsed')
    expect(codeOf(nested(20))).to.equal('MalformedXML')
    expect(codeOf(`<Delete>${'<a/>'.repeat(DOCUMENT_BOUNDS.elementsMax - 1)}</Delete>`)).to.equal('parsed')
    expect(codeOf(`<Delete>${'<a/>'.repeat(DOCUMENT_BOUNDS.elementsMax)}</Delete>`)).to.equal('MalformedXML')
  })
})
