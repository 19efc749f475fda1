// Nothing: the library that is linked as a whole is what is tested.
int main() { return 0; }
