#include <catch2/catch.hpp>

#include "config/source.h"

namespace kurier::config {
namespace {

std::string value_of(const ReadSettings& read, std::string_view name) {
  for (const Setting& setting : read.settings) {
    if (setting.name == name) return setting.value + " @" + setting.where;
  }
  return "not set";
}

TEST_CASE("YAML: nested names and lists are joined") {
  const ReadSettings read = read_yaml("s.yaml",
                                      "log:\n  retention:\n    ms: 5\n  dirs: [/a, /b]\n"
                                      "listeners:\n  - PLAINTEXT://:9092\n  - C://:1\nbroker.rack: \"\"\n");
  CHECK(read.faults.empty());
  CHECK(value_of(read, "log.retention.ms") == "5 @s.yaml:3");
  CHECK(value_of(read, "log.dirs") == "/a,/b @s.yaml:4");
  CHECK(value_of(read, "listeners") == "PLAINTEXT://:9092,C://:1 @s.yaml:5");
  CHECK(value_of(read, "broker.rack") == " @s.yaml:8");
  CHECK(read_yaml("s.yaml", "").faults.empty());
}

TEST_CASE("YAML: values are taken as they are written, whatever YAML would make of them") {
  const ReadSettings read = read_yaml("s.yaml",
                                      "a: 1073741824\nb: true\nc: 'it''s'\nd: \"a\\tb\"\ne: 0.50\nf: -1\ng: yes\n"
                                      "h: [1, two, \"3,4\"]\ni: { j: { k: 1 } }\nl: a b # not this\nm: >-\n  one\n  two\n\"n.o\": 0x10\n");
  CHECK(read.faults.empty());
  CHECK(value_of(read, "a") == "1073741824 @s.yaml:1");
  CHECK(value_of(read, "b") == "true @s.yaml:2");
  CHECK(value_of(read, "c") == "it's @s.yaml:3");
  CHECK(value_of(read, "d") == "a\tb @s.yaml:4");
  CHECK(value_of(read, "e") == "0.50 @s.yaml:5");
  CHECK(value_of(read, "f") == "-1 @s.yaml:6");
  CHECK(value_of(read, "g") == "yes @s.yaml:7");
  CHECK(value_of(read, "h") == "1,two,3,4 @s.yaml:8");
  CHECK(value_of(read, "i.j.k") == "1 @s.yaml:9");
  CHECK(value_of(read, "l") == "a b @s.yaml:10");
  CHECK(value_of(read, "m") == "one two @s.yaml:11");
  CHECK(value_of(read, "n.o") == "0x10 @s.yaml:14");
}

TEST_CASE("YAML: what a configuration must not contain") {
  const auto fault = [](const char* content) {
    const auto read = read_yaml("s.yaml", content);
    return read.faults.empty() ? std::string("none") : read.faults.front();
  };
  CHECK(fault("a: 1\nb: 2\na: 3\n") == "s.yaml:3: a: set twice; line 1 sets it too");
  CHECK(fault("a:\n  b: 1\na.b: 2\n") == "s.yaml:3: a.b: set twice; line 2 sets it too");
  CHECK_THAT(fault("a: &x 1\nb: 2\n"), Catch::Contains("s.yaml:1: an anchor"));
  CHECK_THAT(fault("a: &x 1\nb: *x\n"), Catch::Contains("anchor"));
  CHECK_THAT(fault("a:\n"), Catch::Contains("a: no value"));
  CHECK_THAT(fault("a: null\n"), Catch::Contains("a: no value"));
  CHECK_THAT(fault("a: ~\n"), Catch::Contains("a: no value"));
  CHECK_THAT(fault("a: [1, null]\n"), Catch::Contains("a: no value"));
  CHECK(fault("a: 1\nb: {}\n") == "s.yaml:2: b: no value; write \"\" for an empty one");
  CHECK(fault("a:\n  b: {}\n") == "s.yaml:2: a.b: no value; write \"\" for an empty one");
  CHECK(fault("{}\n") == "none");
  CHECK(fault("a: 1\nb: x\xffy\n") == "s.yaml:2: the byte 0xff is not UTF-8; a configuration is text in UTF-8");
  CHECK_THAT(fault("b: \xc0\xaf\n"), Catch::Contains("the byte 0xc0 is not UTF-8"));
  CHECK_THAT(fault("b: \xed\xa0\x80\n"), Catch::Contains("the byte 0xed is not UTF-8"));
  CHECK_THAT(fault("b: \xf4\x90\x80\x80\n"), Catch::Contains("the byte 0xf4 is not UTF-8"));
  CHECK_THAT(fault("b: \xc3"), Catch::Contains("the byte 0xc3 is not UTF-8"));
  CHECK(fault("b: \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf \xf4\x8f\xbf\xbf\n") == "none");
  CHECK_THAT(fault("a: 1\nb: x\x04y\n"), Catch::Contains("s.yaml:2: the byte 0x04 is a control character"));
  CHECK_THAT(fault("b: \"\\uD800\"\n"), Catch::Contains("s.yaml:1: not YAML"));
  CHECK_THAT(fault("- a\n"), Catch::Contains("not a list"));
  CHECK_THAT(fault("just words\n"), Catch::Contains("expected `name: value`"));
  CHECK_THAT(fault("a: [{b: 1}]\n"), Catch::Contains("a list may hold only plain values"));
  CHECK_THAT(fault("a: b: c\n"), Catch::Contains("not YAML"));
  CHECK_THAT(fault("a: \"x\nb: 2\n"), Catch::Contains("no closing one"));
  CHECK_THAT(fault("a: 1\n---\nb: 2\n"), Catch::Contains("more than one YAML document"));
  CHECK_THAT(fault("? {x: y}\n: 1\n"), Catch::Contains("plain text"));
}

TEST_CASE("properties: Java's notation") {
  const ReadSettings read = read_properties("s.properties",
                                            "# c\n! c\n\n a = 1 \nb:2\r\nc 3\nd=x\\\n   y\\\n z\ne\\=f=g\n"
                                            "h=\\u00e4\\t\\q\nb=9\nempty\n\\u0069=last\\");
  CHECK(read.faults.empty());
  CHECK(value_of(read, "a") == "1  @s.properties:4");
  CHECK(value_of(read, "b") == "9 @s.properties:12");
  CHECK(value_of(read, "c") == "3 @s.properties:6");
  CHECK(value_of(read, "d") == "xyz @s.properties:7");
  CHECK(value_of(read, "e=f") == "g @s.properties:10");
  CHECK(value_of(read, "h") == "\xc3\xa4\tq @s.properties:11");
  CHECK(value_of(read, "empty") == " @s.properties:13");
  CHECK(value_of(read, "i") == "last @s.properties:14");
  CHECK(value_of(read_properties("p", "a=\xe4"), "a") == "\xc3\xa4 @p:1");
  CHECK(value_of(read_properties("p", "a=\xc3\xa4"), "a") == "\xc3\xa4 @p:1");
  CHECK(read_properties("p", "a=\\u12g4\n").faults.size() == 1);
  CHECK(value_of(read_properties("p", "a=\\uD83D\\uDE00"), "a") == "\xf0\x9f\x98\x80 @p:1");
  for (const char* half : {"a=\\uD83D", "a=\\uDE00", "a=\\uD83Dx", "a=\\uD83D\\u0041", "a\\uD83D=x"}) {
    const auto faults = read_properties("p", half).faults;
    REQUIRE(faults.size() == 1);
    CHECK_THAT(faults[0], Catch::Contains("p:1: \\uD800 to \\uDFFF are halves of a character"));
  }
}

}  // namespace
}  // namespace kurier::config
